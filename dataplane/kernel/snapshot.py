# SPDX-License-Identifier: Apache-2.0
"""A kernel table as it was when everything in it was known to be right, as a digest.

Comparing a table rule by rule takes several times longer than reading it. As long as nobody writes
to it, only its counters change: a digest without them tells in one read whether it is still the
same. (One in four thousand million changes is missed. A stronger digest takes longer, and nobody
who may write to the table needs to deceive us.)
"""

from __future__ import annotations

from typing import Final
from zlib import crc32

from dataplane.errors import ConflictError
from dataplane.kernel.layout import COUNTERS_SIZE
from dataplane.kernel.table_info import TableInfo
from dataplane.kernel.table_reading import TableReading
from rules.ir import Family, TableName

_ZERO_COUNTERS: Final = bytes(COUNTERS_SIZE)


class Snapshot:
    """A table at one moment, counters aside."""

    def __init__(
        self, family: Family, table: TableName, info: TableInfo, reading: TableReading
    ) -> None:
        """Remember ``reading``, which is used up: its counters are gone afterwards."""
        self._family = family
        self._table = table
        self._info = info
        self._counters = reading.counter_offsets()
        self._with_counters = crc32(reading.content)
        self._digest = self._digest_of(reading)

    def is_current(self) -> bool:
        """Whether the table is still the same."""
        try:
            reading = TableReading(self._family, self._table, self._info)
        except ConflictError:
            return False
        # Mostly no packet has met a rule since: then there are no counters to be taken out.
        with_counters = crc32(reading.content)
        if with_counters == self._with_counters:
            return True
        self._with_counters = with_counters
        return self._digest_of(reading) == self._digest

    def _digest_of(self, reading: TableReading) -> int:
        content = reading.content
        for offset in self._counters:
            content[offset : offset + COUNTERS_SIZE] = _ZERO_COUNTERS
        return crc32(content)


def take_snapshot(family: Family, table: TableName, info: TableInfo) -> Snapshot | None:
    """The table as it is now; None if somebody changed its size since it was ``info``."""
    try:
        return Snapshot(family, table, info, TableReading(family, table, info))
    except ConflictError:
        return None
