# SPDX-License-Identifier: Apache-2.0
"""Tests of ``dataplane.serving``, with real sockets on the loopback interface."""
