# SPDX-License-Identifier: Apache-2.0
"""Readings of the kernel's counters, and what was added between two of them."""

from __future__ import annotations

from collections import Counter as Sums
from collections.abc import Hashable, Iterable, Mapping
from typing import NamedTuple

from rules.ir import Rule, TableName
from rules.traffic.accounts import Account, Accounts


class CountedRule(NamedTuple):
    """A rule of the kernel with its counter."""

    table: TableName
    chain: str
    rule: Rule
    """Its matches may be left out where it is known by its target."""
    header: Hashable
    """The addresses, interface and protocol that it asks for."""
    packets: int


class Entry(NamedTuple):
    """What stands at one of the kernel's counters."""

    account: Account
    packets: int


Tally = Mapping[Hashable, Entry]
"""A reading of one family's counters by slot."""


def tally(rules: Iterable[CountedRule], accounts: Accounts) -> Tally:
    """What the counters of ``rules`` say; rules of the same slot count together."""
    found: dict[Hashable, Entry] = {}
    for table, chain, rule, header, packets in rules:
        counter = accounts.counter(table, chain, rule, header)
        if counter is not None:
            before = found[counter.slot].packets if counter.slot in found else 0
            found[counter.slot] = Entry(counter.account, before + packets)
    return found


def totals(reading: Tally) -> Mapping[Account, int]:
    """What each account has in all its slots."""
    return _sums(reading.values())


def increments(before: Tally, after: Tally) -> Mapping[Account, int]:
    """What was added to each account from one reading to the next.

    A counter that is smaller than before, or was not there, began at zero in between: with a rule
    that was made anew. What the old one counted after the first reading is not known.
    """
    return _sums(
        Entry(entry.account, _increase(before.get(slot), entry)) for slot, entry in after.items()
    )


def _increase(before: Entry | None, after: Entry) -> int:
    if before is None or after.packets < before.packets:
        return after.packets
    return after.packets - before.packets


def _sums(entries: Iterable[Entry]) -> Mapping[Account, int]:
    sums: Sums[Account] = Sums()
    for account, packets in entries:
        sums[account] += packets
    return sums
