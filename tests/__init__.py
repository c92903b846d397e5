# SPDX-License-Identifier: Apache-2.0
"""Tests by what they need: nothing, generated input, a kernel."""
