# SPDX-License-Identifier: Apache-2.0
"""The limits that the agent promises to keep."""

from __future__ import annotations

from typing import Final

BUILD_MICROSECONDS_A_RULE: Final = 12.0
ENCODE_AND_APPEND_MICROSECONDS_A_RULE: Final = 6.0
ONE_CHANGE_RATIO: Final = 1.0
NOTHING_TO_DO_RATIO: Final = 0.02

_MANY_SERVICES: Final = 5_000


def first_load_ratio(services: int) -> float:
    """Of a first load to a restore of the same rules: large tables must gain, small ones tie."""
    return 0.8 if services >= _MANY_SERVICES else 1.0
