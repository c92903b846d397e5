# SPDX-License-Identifier: Apache-2.0
"""Tests of the rules package, module by module."""
