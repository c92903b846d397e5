# SPDX-License-Identifier: Apache-2.0
"""The installed command, as processes on a node."""
