# SPDX-License-Identifier: Apache-2.0
"""What the documents tell to do on a node, done on one: with the troubles that they speak of."""
