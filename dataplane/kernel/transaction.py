# SPDX-License-Identifier: Apache-2.0
"""The edits of one table, made on an open handle.

Order matters to libiptc: a jump is resolved when its rule is added, so chains are created first and
deleted last, when nothing jumps to them any more.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from dataplane.errors import ChainInUseError
from dataplane.kernel.carry_over import CarryOver, CountingTable
from dataplane.kernel.encode_chain import ChainEncoder
from dataplane.kernel.retention import NOTHING, Retention
from rules import names
from rules.diff import edits, with_hooks
from rules.ir import Rule, Rules, Table

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Changes:
    """What a transaction changed so far."""

    rules_added: int = 0
    rules_deleted: int = 0
    chains_created: int = 0
    chains_deleted: int = 0

    @property
    def rules(self) -> int:
        """Rules added or deleted."""
        return self.rules_added + self.rules_deleted

    def __add__(self, other: Changes) -> Changes:
        return Changes(
            self.rules_added + other.rules_added,
            self.rules_deleted + other.rules_deleted,
            self.chains_created + other.chains_created,
            self.chains_deleted + other.chains_deleted,
        )

    def __bool__(self) -> bool:
        return bool(self.rules or self.chains_created or self.chains_deleted)


class EditableTable(CountingTable, Protocol):
    """What a transaction needs of an open table, as of :class:`dataplane.kernel.libiptc`'s."""

    def chains(self) -> list[str]:
        """The names of all chains."""

    def has_chain(self, chain: str, /) -> bool:
        """Whether there is a chain of that name."""

    def target_of(self, entry: bytes, /) -> str:
        """Where an entry leads: a chain, a verdict, or the name of its target."""

    def count(self, chain: str, /) -> int:
        """How many entries a chain has."""

    def create_chain(self, chain: str, /) -> None:
        """Add an empty chain."""

    def delete_chain(self, chain: str, /) -> None:
        """Remove an empty chain."""

    def flush_chain(self, chain: str, /) -> None:
        """Remove all entries of a chain."""

    def append(self, chain: str, entries: Iterable[bytes], /) -> None:
        """Add entries at the end of a chain."""

    def insert(self, chain: str, position: int, entry: bytes, /) -> None:
        """Add an entry before the one at ``position``, counted from 0."""

    def delete(self, chain: str, position: int, /) -> None:
        """Remove the entry at ``position``, counted from 0."""


class Transaction:
    """Edits of one table, made on its open handle; they become true when that is committed.

    Chains are encoded one by one as they are needed: all entries of a large table at once would
    take more memory than anything else.
    """

    def __init__(
        self, handle: EditableTable, encoder: ChainEncoder, retention: Retention = NOTHING
    ) -> None:
        """Edit the table of ``handle``; what ``retention`` keeps stays in it."""
        self._handle = handle
        self._encoder = encoder
        self._retention = retention
        self.changes = Changes()
        """What was changed so far."""

    def program_all(self, table: Table, *, right: Collection[str] = ()) -> None:
        """Make our part of the table what it should be, whatever stands there now.

        Chains that are ``right`` are known to be so already.
        """
        present = frozenset(self._handle.chains())
        staying = self._retention.chains(present, self._targets_of) if self._retention else ()
        stale = [
            chain for chain in present if is_stale(chain, table.chains) and chain not in staying
        ]
        unsure = {chain: rules for chain, rules in table.chains.items() if chain not in right}
        self._program(table, unsure, present, stale)

    def program_some(
        self, table: Table, changed: Mapping[str, Rules], stale: Collection[str]
    ) -> None:
        """Make ``changed`` chains and the hooks what they should be, delete ``stale`` chains."""
        if self._retention.is_total:
            stale = ()
        concerned = (*changed, *table.shared_chains, *stale)
        present = frozenset(chain for chain in concerned if self._handle.has_chain(chain))
        self._program(table, changed, present, [chain for chain in stale if chain in present])

    def remove_all(self, table: Table) -> None:
        """Remove the hooks and chains of ``table``, and all chains that :func:`is_stale` knows."""
        for chain, hooks in self._hooks(table).items():
            present = self._handle.entries(chain)
            self._edit(chain, present, [entry for entry in present if entry not in hooks])
        self._delete(
            [
                chain
                for chain in self._handle.chains()
                if chain in table.chains or is_stale(chain, table.chains)
            ]
        )

    def _program(
        self,
        table: Table,
        chains: Mapping[str, Rules],
        present: Collection[str],
        stale: Sequence[str],
    ) -> None:
        handle, encoder = self._handle, self._encoder
        carry_over = CarryOver(encoder.family, table.name)
        missing = [chain for chain in (*chains, *table.shared_chains) if chain not in present]
        create_chains(handle, missing)
        self.changes.chains_created += len(missing)
        for chain, rules in chains.items():
            entries = encoder.entries(rules)
            if chain in present:
                entries_now = handle.entries(chain)
                candidates = entries_now + self._below(chain, present)
                merged = self._retention.merge(chain, entries, candidates, handle.target_of)
                self._edit(chain, entries_now, merged, carry_over)
            else:
                handle.append(chain, entries)
                carry_over.added(chain)
                self.changes.rules_added += len(entries)
        for chain, hooks in self._hooks(table).items():
            entries_now = handle.entries(chain)
            self._edit(chain, entries_now, with_hooks(entries_now, hooks))
        for chain in stale:
            carry_over.removed(chain, handle.entries(chain), handle.counters(chain))
        self._delete(stale)
        carry_over.carry(handle)

    def _below(self, root: str, present: Collection[str]) -> list[bytes]:
        """The entries that an earlier agent's tree for many Services has below chain ``root``."""
        prefixes = tuple(prefix for prefix, of in names.DISPATCH_ROOTS.items() if of == root)
        if not self._retention.hashes or not prefixes:
            return []
        tree = sorted(chain for chain in present if chain.startswith(prefixes))
        return [entry for chain in tree for entry in self._handle.entries(chain)]

    def _targets_of(self, chain: str) -> Iterator[str]:
        return map(self._handle.target_of, self._handle.entries(chain))

    def _hooks(self, table: Table) -> Mapping[str, tuple[bytes, ...]]:
        by_chain: defaultdict[str, list[Rule]] = defaultdict(list)
        for hook in table.hooks:
            by_chain[hook.chain].append(hook.rule)
        return {chain: self._encoder.entries(tuple(rules)) for chain, rules in by_chain.items()}

    def _edit(
        self,
        chain: str,
        old: Sequence[bytes],
        new: Sequence[bytes],
        carry_over: CarryOver | None = None,
    ) -> None:
        steps = edits(old, new)
        if carry_over:
            carry_over.edited(self._handle, chain, old, steps)
        for step in steps:
            if step.value is None:
                self._handle.delete(chain, step.position)
                self.changes.rules_deleted += 1
            else:
                self._handle.insert(chain, step.position, step.value)
                self.changes.rules_added += 1

    def _delete(self, chains: Sequence[str]) -> None:
        """Delete chains; one that a rule of somebody else jumps to stays, empty."""
        for chain in chains:
            self.changes.rules_deleted += self._handle.count(chain)
            self._handle.flush_chain(chain)
        for chain in chains:
            try:
                self._handle.delete_chain(chain)
            except ChainInUseError as error:
                _log.warning("%s", error)
            else:
                self.changes.chains_deleted += 1


def create_chains(handle: EditableTable, chains: Iterable[str]) -> None:
    """Add empty chains, from last to first: libiptc keeps them sorted, quickest at the front."""
    for chain in sorted(chains, reverse=True):
        handle.create_chain(chain)


def is_stale(chain: str, wanted: Collection[str]) -> bool:
    """Whether a chain was made for a service port or endpoint that is no more."""
    return chain not in wanted and names.is_obsolete_unless_wanted(chain)
