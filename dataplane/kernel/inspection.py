# SPDX-License-Identifier: Apache-2.0
"""Whether a kernel table is as it should be, found out without the lock and without libiptc.

The same steps that would make it so are gone through on a reading of it: the first edit that they
ask for shows that it is not.
"""

from __future__ import annotations

from typing import NoReturn

from dataplane.errors import DataplaneError
from dataplane.kernel.encode_chain import ChainEncoder
from dataplane.kernel.retention import Retention
from dataplane.kernel.table_reading import TableReading
from dataplane.kernel.transaction import Transaction
from rules.ir import Table


class _EditNeededError(DataplaneError):
    """The table is not as it should be."""


class _UneditedTable:
    """A reading in the place of an open table."""

    def __init__(self, reading: TableReading) -> None:
        self.chains = reading.chains
        self.has_chain = reading.has_chain
        self.entries = reading.entries
        self.target_of = reading.target_of

    def _refuse(self, *_: object) -> NoReturn:
        raise _EditNeededError

    count = create_chain = delete_chain = flush_chain = append = insert = delete = _refuse
    counters = set_counters = _refuse


def chains_as_desired(
    reading: TableReading, desired: Table, encoder: ChainEncoder, retention: Retention
) -> frozenset[str]:
    """The chains that are seen at once to have all that is desired, and nothing else."""
    if retention:
        # What is to be retained may be missing from a chain that is as desired.
        return frozenset()
    return frozenset(
        chain
        for chain, rules in desired.chains.items()
        if reading.has_chain(chain) and reading.holds(chain, encoder.entries(rules))
    )


def is_as_desired(
    reading: TableReading, desired: Table, encoder: ChainEncoder, retention: Retention
) -> bool:
    """Whether all of ours stands in the table, and nothing in its place or left over."""
    right = chains_as_desired(reading, desired, encoder, retention)
    try:
        Transaction(_UneditedTable(reading), encoder, retention).program_all(desired, right=right)
    except _EditNeededError:
        return False
    return True
