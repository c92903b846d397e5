# SPDX-License-Identifier: Apache-2.0
"""Tests of one module each, in milliseconds."""
