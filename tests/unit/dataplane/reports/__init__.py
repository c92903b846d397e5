# SPDX-License-Identifier: Apache-2.0
"""Tests of what others learn of the agent's work."""
