# SPDX-License-Identifier: Apache-2.0
"""What stands in the kernel, as rules to follow, whoever made them.

Only read, so without the xtables lock: a table is read in one piece, as some writer left it. Two
tables are read one after the other, and a writer may come in between.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager

from dataplane.kernel.client_sets import known_indices
from dataplane.kernel.decode import Decoder
from dataplane.kernel.libiptc import TableHandle, open_table
from rules.ir import BUILT_IN_CHAINS, RETURN, Family, TableName
from rules.trace.rule_set import Chain, LazyChains, RuleSet


class LiveTable(LazyChains):
    """The chains of an open table."""

    def __init__(self, handle: TableHandle, table: TableName, decoder: Decoder) -> None:
        super().__init__()
        self._handle = handle
        self._built_in = BUILT_IN_CHAINS[table]
        self._decoder = decoder

    def make(self, name: str) -> Chain:
        """See :class:`LazyChains`."""
        if not self._handle.has_chain(name):
            raise KeyError(name)
        return Chain(
            tuple(map(self._decoder.rule, self._handle.entries(name))),
            self._handle.policy(name) if name in self._built_in else RETURN,
        )

    def names(self) -> Collection[str]:
        """See :class:`LazyChains`."""
        return self._handle.chains()


@contextmanager
def live_rule_set(family: Family) -> Iterator[RuleSet]:
    """The rules of one family, to be used inside of the block only.

    Raises:
        KernelUnusableError: the tables cannot be read.
    """
    decoder = Decoder(family, known_indices(family))
    with ExitStack() as handles:
        yield {
            table: LiveTable(handles.enter_context(open_table(family, table)), table, decoder)
            for table in TableName
        }
