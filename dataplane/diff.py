# SPDX-License-Identifier: Apache-2.0
"""The desired rules against those in the kernel: what a sync would do now.

Only read, so without the xtables lock. An agent that is at work may commit one table after another
is read; what it has just begun then shows as a difference.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from dataplane.dump import desired_tables
from dataplane.kernel.client_sets import known_indices
from dataplane.kernel.decode import Decoder
from dataplane.kernel.encode import NO_SUCH_SET
from dataplane.kernel.encode_chain import ChainEncoder
from dataplane.kernel.libiptc import TableHandle, open_table
from dataplane.kernel.transaction import is_stale
from dataplane.node_ports import interface_addresses
from dataplane.settings import Settings
from dataplane.state import Picture
from rules.comparison import ChainDifference
from rules.diff import with_hooks
from rules.ir import Family, Rule, Rules, Table, Tables
from rules.text import save_rule
from rules.trace.rule_set import ForeignRule

_Entries = Sequence[bytes]


def differences(
    settings: Settings, picture: Picture, families: tuple[Family, ...]
) -> tuple[ChainDifference, ...]:
    """The chains of ours that are not what ``picture`` wants them to be, in all tables.

    Raises:
        KernelError: a table, or the addresses of this node, cannot be read.
    """

    def beside(*, was_large: bool) -> tuple[ChainDifference, ...]:
        desired = desired_tables(
            settings, picture, families, interface_addresses, was_large=was_large
        )
        return tuple(kernel_differences(desired))

    found = beside(was_large=False)
    # Whether a cluster of medium size has the rules of a large one depends on what it was before.
    return min(found, beside(was_large=True), key=len) if found else ()


def kernel_differences(desired: Mapping[Family, Tables]) -> Iterator[ChainDifference]:
    """The chains of ours that are not what ``desired`` tables want them to be.

    Raises:
        KernelError: a table cannot be read.
    """
    for family, tables in desired.items():
        set_indices = known_indices(family)
        for table in tables.values():
            with open_table(family, table.name) as handle:
                yield from _TableComparison(family, table, handle, set_indices).differences()


class _TableComparison:
    """One desired table beside the kernel's."""

    def __init__(
        self,
        family: Family,
        table: Table,
        handle: TableHandle,
        set_indices: Mapping[str, int],
    ) -> None:
        self._family = family
        self._table = table
        self._handle = handle
        # No rule in the kernel can name a set that is not there.
        wanted = dict.fromkeys((one.name for one in table.client_sets), NO_SUCH_SET)
        self._encoder = ChainEncoder(family, {**wanted, **set_indices})
        self._decoder = Decoder(family, set_indices)

    def differences(self) -> Iterator[ChainDifference]:
        """Chains that others use too come first, then ours by name."""
        for chain, hooks in self._hooks().items():
            yield from self._hooked(chain, hooks)
        wanted = self._table.chains
        stale = {chain for chain in self._handle.chains() if is_stale(chain, wanted)}
        for chain in sorted({*wanted, *stale}):
            yield from self._owned(chain, None if chain in stale else wanted[chain])

    def _hooks(self) -> Mapping[str, tuple[Rule, ...]]:
        by_chain: defaultdict[str, tuple[Rule, ...]] = defaultdict(tuple)
        for hook in self._table.hooks:
            by_chain[hook.chain] += (hook.rule,)
        return by_chain

    def _hooked(self, chain: str, hooks: tuple[Rule, ...]) -> Iterator[ChainDifference]:
        """Whatever else stands in the chain belongs there."""
        present = self._present(chain)
        desired = with_hooks(present or (), self._encoder.entries(hooks))
        if present != desired:
            yield self._difference(chain, present, desired, hooks)

    def _owned(self, chain: str, rules: Rules | None) -> Iterator[ChainDifference]:
        present = self._present(chain)
        desired = None if rules is None else list(self._encoder.entries(rules))
        if present != desired:
            yield self._difference(chain, present, desired, tuple(rules or ()))

    def _present(self, chain: str) -> list[bytes] | None:
        return self._handle.entries(chain) if self._handle.has_chain(chain) else None

    def _difference(
        self,
        chain: str,
        present: _Entries | None,
        desired: _Entries | None,
        rules: tuple[Rule, ...],
    ) -> ChainDifference:
        """A difference in print; ``rules`` are ours, which need not be decoded."""
        ours = self._encoder.entries(rules)
        lines = {
            entry: save_rule(chain, rule, self._family)
            for entry, rule in zip(ours, rules, strict=True)
        }
        for entry in present or ():
            if entry not in lines:
                lines[entry] = self._foreign_line(chain, entry)
        return ChainDifference(
            self._family,
            self._table.name,
            chain,
            None if present is None else tuple(lines[entry] for entry in present),
            None if desired is None else tuple(lines[entry] for entry in desired),
        )

    def _foreign_line(self, chain: str, entry: bytes) -> str:
        """A rule that is not desired; one that only looks like a desired rule is called out."""
        rule = self._decoder.rule(entry)
        if not isinstance(rule, ForeignRule):
            return save_rule(chain, rule, self._family)
        text = rule.text(chain, self._family)
        return text if rule.unknown else f"{text} # in another form"
