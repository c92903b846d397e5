# SPDX-License-Identifier: Apache-2.0
"""The edits of one table, made on an open handle.

Order matters to libiptc: a jump is resolved when its rule is added, so chains are created first and
deleted last, when nothing jumps to them any more.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from dataplane.errors import ChainInUseError
from dataplane.kernel.encode_chain import ChainEncoder
from dataplane.kernel.libiptc import TableHandle
from rules import names
from rules.diff import Edit, edits, with_hooks
from rules.ir import Hook, Rule, Rules, Table

_log = logging.getLogger(__name__)

Entries = tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class EncodedTable:
    """What should stand in a table, as entries."""

    chains: Mapping[str, Entries]
    """Chains that are ours alone; all of them, or those that a transaction is about."""
    hooks: Mapping[str, Entries]
    """By the chain they stand in."""
    shared_chains: tuple[str, ...]


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

    def __bool__(self) -> bool:
        return bool(self.rules or self.chains_created or self.chains_deleted)


def encode_table(encoder: ChainEncoder, table: Table, chains: Mapping[str, Rules]) -> EncodedTable:
    """The entries of ``chains``, which are all or some of the table's, and of its hooks."""
    return EncodedTable(
        {chain: encoder.entries(rules) for chain, rules in chains.items()},
        _encode_hooks(encoder, table.hooks),
        table.shared_chains,
    )


def _encode_hooks(encoder: ChainEncoder, hooks: Iterable[Hook]) -> Mapping[str, Entries]:
    by_chain: defaultdict[str, list[Rule]] = defaultdict(list)
    for hook in hooks:
        by_chain[hook.chain].append(hook.rule)
    return {chain: encoder.entries(tuple(rules)) for chain, rules in by_chain.items()}


def program_all(handle: TableHandle, table: EncodedTable) -> Changes:
    """Make our part of the table what it should be, whatever stands there now."""
    present = frozenset(handle.chains())
    return _program(
        handle, table, present, [chain for chain in present if is_stale(chain, table.chains)]
    )


def program_some(handle: TableHandle, table: EncodedTable, stale: Collection[str]) -> Changes:
    """Make the given chains and hooks what they should be and delete the ``stale`` chains."""
    concerned = (*table.chains, *table.shared_chains, *stale)
    present = frozenset(chain for chain in concerned if handle.has_chain(chain))
    return _program(handle, table, present, [chain for chain in stale if chain in present])


def _program(
    handle: TableHandle, table: EncodedTable, present: Collection[str], stale: Sequence[str]
) -> Changes:
    changes = Changes()
    missing = [chain for chain in (*table.chains, *table.shared_chains) if chain not in present]
    # From last to first: libiptc keeps chains sorted, and finds the place at the front quickest.
    for chain in sorted(missing, reverse=True):
        handle.create_chain(chain)
    changes.chains_created += len(missing)
    for chain, entries in table.chains.items():
        if chain in present:
            _edit(handle, chain, edits(handle.entries(chain), entries), changes)
        else:
            handle.append(chain, entries)
            changes.rules_added += len(entries)
    for chain, hooks in table.hooks.items():
        entries_now = handle.entries(chain)
        _edit(handle, chain, edits(entries_now, with_hooks(entries_now, hooks)), changes)
    _delete(handle, stale, changes)
    return changes


def remove_all(handle: TableHandle, table: EncodedTable) -> Changes:
    """Remove the hooks and chains of ``table``, and all chains that :func:`is_stale` knows."""
    changes = Changes()
    for chain, hooks in table.hooks.items():
        present = handle.entries(chain)
        foreign = [entry for entry in present if entry not in hooks]
        _edit(handle, chain, edits(present, foreign), changes)
    ours = [
        chain for chain in handle.chains() if chain in table.chains or is_stale(chain, table.chains)
    ]
    _delete(handle, ours, changes)
    return changes


def is_stale(chain: str, wanted: Collection[str]) -> bool:
    """Whether a chain was made for a service port or endpoint that is no more."""
    return chain not in wanted and names.is_obsolete_unless_wanted(chain)


def _edit(handle: TableHandle, chain: str, steps: Iterable[Edit[bytes]], changes: Changes) -> None:
    for step in steps:
        if step.value is None:
            handle.delete(chain, step.position)
            changes.rules_deleted += 1
        else:
            handle.insert(chain, step.position, step.value)
            changes.rules_added += 1


def _delete(handle: TableHandle, chains: Sequence[str], changes: Changes) -> None:
    """Delete chains; one that a rule of somebody else jumps to stays, empty."""
    for chain in chains:
        changes.rules_deleted += handle.count(chain)
        handle.flush_chain(chain)
    for chain in chains:
        try:
            handle.delete_chain(chain)
        except ChainInUseError as error:
            _log.warning("%s", error)
        else:
            changes.chains_deleted += 1
