# SPDX-License-Identifier: Apache-2.0
"""What the documents say, held against the program."""
