# SPDX-License-Identifier: Apache-2.0
"""What makes a benchmark void."""


class BenchError(Exception):
    """The two sides did not do the same work, or one of them failed."""
