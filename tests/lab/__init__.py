# SPDX-License-Identifier: Apache-2.0
"""Tests of the lab that the kernel tests and the demo are built on."""
