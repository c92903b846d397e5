# SPDX-License-Identifier: Apache-2.0
"""Where the time of a sync goes."""

from __future__ import annotations

import pytest

from bench.phases import COMMIT, EDIT, FREE, PHASES, READ, REST, CallTimes


def test_shares_add_up_to_the_whole() -> None:
    """What no call of libiptc took is our own."""
    times = CallTimes()
    times.seconds[READ] = 1.0
    times.seconds[COMMIT] = 2.0
    assert times.shares(4.5) == {
        READ: 1.0,
        EDIT: 0.0,
        COMMIT: 2.0,
        FREE: 0.0,
        REST: pytest.approx(1.5),
    }
    assert tuple(times.shares(4.5)) == PHASES


def test_clear_forgets_times_and_counts() -> None:
    """What was measured before does not count for what follows."""
    times = CallTimes()
    times.seconds[READ] = 1.0
    times.count[READ] = 1
    times.clear()
    assert times.shares(2.0)[REST] == 2.0
    assert times.count[READ] == 0
