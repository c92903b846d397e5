# SPDX-License-Identifier: Apache-2.0
"""Laws that hold for every input, tried on generated ones."""
