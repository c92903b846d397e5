# SPDX-License-Identifier: Apache-2.0
"""Tests against the kernel, each in a network namespace of its own; they need root."""
