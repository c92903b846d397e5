# SPDX-License-Identifier: Apache-2.0
"""Tests of the sources, against real files and a real HTTP server."""
