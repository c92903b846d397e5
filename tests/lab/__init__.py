# SPDX-License-Identifier: Apache-2.0
"""Tests of the lab that the kernel tests are built on, and of the demo on it; they need root."""
