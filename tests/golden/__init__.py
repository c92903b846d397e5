# SPDX-License-Identifier: Apache-2.0
"""Whole clusters as manifests and the rules that they must give."""
