# SPDX-License-Identifier: Apache-2.0
"""Counters of rules that go, given to the rules that take their place in the same commit.

libiptc keeps the counter of a rule that stays, with what it counts during the commit, and lets
those of all others begin at zero. But a rule with other odds, in another chain of a tree or in the
other layout still counts the same: who reads its counter should not see it begin anew. What is
counted between the reading of the table and the commit is lost to such a rule; that is
milliseconds.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterator, Sequence
from struct import unpack_from
from typing import Final, NamedTuple, Protocol

from dataplane.kernel.canonical import target_name
from dataplane.kernel.layout import ENTRY_LAYOUTS, Counters
from rules import names
from rules.diff import Edit
from rules.ir import Family, TableName
from rules.traffic.accounts import is_counted, tree_of

_ZERO: Final = Counters(0, 0)


class CountingTable(Protocol):
    """What carrying over needs of an open table."""

    def entries(self, chain: str, /) -> list[bytes]:
        """The entries of a chain, in canonical form."""

    def counters(self, chain: str, /) -> list[Counters]:
        """What the entries of a chain have counted."""

    def set_counters(self, chain: str, position: int, counters: Counters, /) -> None:
        """Let the entry at ``position``, counted from 0, begin with ``counters``."""


class _Counted(NamedTuple):
    """A rule that counts for a service port, before it is known whose endpoint it is about."""

    chain: str
    identity: bytes


class CarryOver:
    """Collects the counters of one table's removed rules, and gives them to the added ones."""

    def __init__(self, family: Family, table: TableName) -> None:
        self._family = family
        self._table = table
        self._target_offset = ENTRY_LAYOUTS[family].target_offset_offset
        self._removed: defaultdict[_Counted, Counters] = defaultdict(lambda: _ZERO)
        self._added_to: set[str] = set()
        self._owners: dict[str, str] = {}
        """By endpoint chain the hash of its service port, as far as jumps came and went."""

    def removed(self, chain: str, entries: Sequence[bytes], counters: Sequence[Counters]) -> None:
        """These rules go."""
        for entry, counted in zip(entries, counters, strict=True):
            known = self._read(chain, entry)
            if known is not None and counted.packets:
                self._removed[known] = _sum(self._removed[known], counted)

    def added(self, chain: str) -> None:
        """Rules come to a chain."""
        self._added_to.add(chain)

    def edited(
        self,
        handle: CountingTable,
        chain: str,
        entries: Sequence[bytes],
        steps: Sequence[Edit[bytes]],
    ) -> None:
        """These steps are about to be made in a chain."""
        if any(step.value is not None for step in steps):
            self.added(chain)
        if all(step.value is not None for step in steps):
            return
        standing: list[tuple[bytes, Counters] | None] = list(
            zip(entries, handle.counters(chain), strict=True)
        )
        for step in steps:
            if step.value is not None:
                standing.insert(step.position, None)
            elif (gone := standing.pop(step.position)) is not None:
                entry, counted = gone
                self.removed(chain, [entry], [counted])

    def carry(self, handle: CountingTable) -> None:
        """Give each counter to the rule that takes its place, if there is one."""
        if not self._removed:
            return
        places = [
            (chain, position, known)
            for chain in self._added_to
            for position, known in self._countable(handle, chain)
        ]
        # Only now all jumps are known that tell whose endpoint chains are.
        orphaned: defaultdict[Hashable, Counters] = defaultdict(lambda: _ZERO)
        for known, counted in self._removed.items():
            orphaned[self._key(known)] = _sum(orphaned[self._key(known)], counted)
        for chain, position, known in places:
            counted = orphaned.pop(self._key(known), _ZERO)
            if counted.packets:
                handle.set_counters(chain, position, counted)

    def _countable(self, handle: CountingTable, chain: str) -> Iterator[tuple[int, _Counted]]:
        """The rules of a chain that have counted nothing, each with its position.

        One that has counted has stayed, and keeps what it counts during the commit.
        """
        both = zip(handle.entries(chain), handle.counters(chain), strict=True)
        for position, (entry, counted) in enumerate(both):
            known = self._read(chain, entry)
            if known is not None and not counted.packets:
                yield position, known

    def _read(self, chain: str, entry: bytes) -> _Counted | None:
        target = target_name(entry, self._family)
        if target.startswith(names.ENDPOINT_PREFIX):
            self._owners[target] = names.hash_of(chain)
            return None
        if not is_counted(self._table, target):
            return None
        if target == "DNAT":
            (start,) = unpack_from("=H", entry, self._target_offset)
            return _Counted(chain, entry[start:])
        return _Counted(tree_of(chain), entry)

    def _key(self, known: _Counted) -> Hashable:
        """The same for rules that count the same."""
        chain, identity = known
        if names.is_choice_chain(chain):
            return names.hash_of(chain), identity
        return self._owners.get(chain, chain), identity


def _sum(one: Counters, other: Counters) -> Counters:
    return Counters(one.packets + other.packets, one.bytes + other.bytes)
