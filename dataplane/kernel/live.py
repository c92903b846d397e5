# SPDX-License-Identifier: Apache-2.0
"""What stands in the kernel, as rules to follow, whoever made them.

Only read, so without the xtables lock: a table is read in one piece, as some writer left it. Two
tables are read one after the other, and a writer may come in between.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager

from dataplane.kernel.decode import Decoder
from dataplane.kernel.libiptc import TableHandle, open_table
from rules.ir import BUILT_IN_CHAINS, RETURN, Family, TableName
from rules.trace.rule_set import Chain, RuleSet


class LiveTable(Mapping[str, Chain]):
    """The chains of an open table, each decoded when it is asked for: a packet sees few of them."""

    def __init__(self, handle: TableHandle, table: TableName, decoder: Decoder) -> None:
        self._handle = handle
        self._built_in = BUILT_IN_CHAINS[table]
        self._decoder = decoder
        self._decoded: dict[str, Chain] = {}

    def __getitem__(self, name: str) -> Chain:
        if name not in self._decoded:
            if not self._handle.has_chain(name):
                raise KeyError(name)
            self._decoded[name] = Chain(
                tuple(map(self._decoder.rule, self._handle.entries(name))),
                self._handle.policy(name) if name in self._built_in else RETURN,
            )
        return self._decoded[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._handle.chains())

    def __len__(self) -> int:
        return len(self._handle.chains())


@contextmanager
def live_rule_set(family: Family) -> Iterator[RuleSet]:
    """The rules of one family, to be used inside of the block only.

    Raises:
        KernelUnusableError: the tables cannot be read.
    """
    decoder = Decoder(family)
    with ExitStack() as handles:
        yield {
            table: LiveTable(handles.enter_context(open_table(family, table)), table, decoder)
            for table in TableName
        }
