# SPDX-License-Identifier: Apache-2.0
"""Two readings of counters, and what was added in between."""

from __future__ import annotations

from rules.traffic.accounts import Account, Purpose
from rules.traffic.tally import Entry, Tally, increments, totals

_SERVED = Account("A", Purpose.SERVED)
_REJECTED = Account("A", Purpose.REJECTED)


def test_what_was_added_is_the_difference() -> None:
    """Slot by slot, summed up by account."""
    before: Tally = {"x": Entry(_SERVED, 3), "y": Entry(_SERVED, 10)}
    after: Tally = {"x": Entry(_SERVED, 5), "y": Entry(_SERVED, 10), "z": Entry(_REJECTED, 1)}

    assert increments(before, after) == {_SERVED: 2, _REJECTED: 1}
    assert totals(after) == {_SERVED: 15, _REJECTED: 1}


def test_a_counter_that_fell_began_anew() -> None:
    """All that it has was added; one that is gone takes nothing with it."""
    before: Tally = {"x": Entry(_SERVED, 100), "y": Entry(_SERVED, 40)}

    assert increments(before, {"x": Entry(_SERVED, 7)}) == {_SERVED: 7}


def test_a_counter_counts_for_its_present_account() -> None:
    """Why packets are dropped may change while the rule that drops them stands."""
    before: Tally = {"x": Entry(Account("A", Purpose.OUTSIDE_SOURCE_RANGES), 5)}
    account = Account("A", Purpose.NO_LOCAL_ENDPOINTS)

    assert increments(before, {"x": Entry(account, 8)}) == {account: 3}
