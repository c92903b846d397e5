# SPDX-License-Identifier: Apache-2.0
"""A kernel table as it was when everything in it was known to be right, as a digest.

Comparing a table rule by rule takes many times longer than reading it. As long as nobody writes to
it, only its counters change: a digest without them tells in one read whether it is still the same.
(One in four thousand million changes is missed. A stronger digest takes longer than the read, and
nobody who may write to the table needs to deceive us.)
Source: IPT_SO_GET_ENTRIES in linux/include/uapi/linux/netfilter_ipv4/ip_tables.h.
"""

from __future__ import annotations

import ctypes
import os
from array import array
from struct import Struct
from typing import Final
from zlib import crc32

from dataplane.errors import ConflictError
from dataplane.kernel.layout import COUNTERS_SIZE, ENTRY_LAYOUTS
from dataplane.kernel.table_info import TableInfo, table_option
from rules.ir import Family, TableName

_GET_ENTRIES: Final = 65
_REQUEST: Final = Struct("=32sI4x")
"""Name of the table and size of what follows: its entries."""
_NEXT_OFFSET: Final = Struct("=H")
_ZERO_COUNTERS: Final = bytes(COUNTERS_SIZE)


class Snapshot:
    """A table at one moment, counters aside."""

    def __init__(self, family: Family, table: TableName, info: TableInfo) -> None:
        """Read the table, whose size is ``info``.

        Raises:
            ConflictError: its size is another by now.
        """
        self._family = family
        self._table = table
        self._info = info
        entries = self._read()
        self._counters = _counter_offsets(entries, family)
        self._digest = self._digest_of(entries)

    def is_current(self) -> bool:
        """Whether the table is still the same."""
        try:
            return self._digest_of(self._read()) == self._digest
        except ConflictError:
            return False

    def _read(self) -> memoryview:
        """The table's entries, in a buffer that is zero where the kernel writes nothing."""
        request = _REQUEST.pack(self._table.value.encode(), self._info.size)
        buffer = ctypes.create_string_buffer(request, _REQUEST.size + self._info.size)
        number = table_option(self._family, _GET_ENTRIES, buffer)
        if number:
            raise ConflictError(
                f"the {self._family.value} table {self._table.value} changed while it was read: "
                f"{os.strerror(number)}"
            )
        return memoryview(buffer).cast("B")[_REQUEST.size :]

    def _digest_of(self, entries: memoryview) -> int:
        for offset in self._counters:
            entries[offset : offset + COUNTERS_SIZE] = _ZERO_COUNTERS
        return crc32(entries)


def take_snapshot(family: Family, table: TableName, info: TableInfo) -> Snapshot | None:
    """The table as it is now; None if somebody changed its size since it was ``info``."""
    try:
        return Snapshot(family, table, info)
    except ConflictError:
        return None


def _counter_offsets(entries: memoryview, family: Family) -> array[int]:
    layout = ENTRY_LAYOUTS[family]
    offsets = array("I")
    offset = 0
    while offset < len(entries):
        offsets.append(offset + layout.counters_offset)
        (size,) = _NEXT_OFFSET.unpack_from(entries, offset + layout.next_offset_offset)
        offset += size
    return offsets
