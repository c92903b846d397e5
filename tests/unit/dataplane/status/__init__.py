# SPDX-License-Identifier: Apache-2.0
"""Tests of ``dataplane.status`` that need no kernel."""
