# SPDX-License-Identifier: Apache-2.0
"""Tests of the configuration file; the files that they read stand in ``files``."""
