# SPDX-License-Identifier: Apache-2.0
"""Tests of how rules get into the kernel, as far as they need no kernel."""
