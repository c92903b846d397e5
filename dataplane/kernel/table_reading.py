# SPDX-License-Identifier: Apache-2.0
"""A kernel table read in one piece, without libiptc: for looking at all of it and changing nothing.

libiptc makes a list of what it reads, which takes several times the memory, and a call for each
step along it. Source: IPT_SO_GET_ENTRIES in linux/include/uapi/linux/netfilter_ipv4/ip_tables.h.
"""

from __future__ import annotations

import ctypes
from array import array
from collections.abc import Callable, Iterator, Sequence
from functools import cache, cached_property
from struct import Struct
from typing import Final, NamedTuple

from dataplane.errors import ConflictError
from dataplane.kernel.canonical import canonical, target_name
from dataplane.kernel.layout import (
    ENTRY_LAYOUTS,
    ERROR_TARGET_SIZE,
    EXTENSION_HEADER,
    NAME_OFFSET,
    NAME_SIZE,
    STANDARD_TARGET_SIZE,
    VERDICT_OFFSET,
    VERDICTS,
)
from dataplane.kernel.table_info import TableInfo, table_option
from rules.ir import BUILT_IN_CHAINS, Family, TableName

_GET_ENTRIES: Final = 65
_REQUEST: Final = Struct("=32sI4x")
"""Name of the table and size of what follows: its entries."""
_SIZE: Final = Struct("=H")
_OFFSETS: Final = Struct("=HH")
"""Where an entry's target is, and where the entry ends."""
_VERDICT: Final = Struct("=i")
_JUMP: Final = Struct(f"=H{NAME_SIZE}sxi4x")
"""Standard target: its size, a name or none, and where it leads or nothing."""
_ERROR_NAME: Final = b"ERROR".ljust(NAME_SIZE, b"\0")
"""Of the target with which a chain begins; what follows it is the chain's name."""


class RulePlace(NamedTuple):
    """Where a rule stands in a table, and where it leads."""

    chain: str
    offset: int
    target_offset: int
    end: int
    target: str
    """A chain, a verdict, or the name of its target."""


class _Span(NamedTuple):
    """Where the rules of a chain stand."""

    start: int
    end: int
    """Where the entry stands that ends the chain: its policy, or the return from it."""


class TableReading:
    """A table as it was when it was read."""

    def __init__(self, family: Family, table: TableName, info: TableInfo) -> None:
        """Read the table, whose size is ``info``.

        Raises:
            ConflictError: its size is another by now. Methods raise it too, if they find out later.
        """
        self._family = family
        self._table = table
        self._layout = ENTRY_LAYOUTS[family]
        self._header_size = self._layout.header_size
        self._built_in = {
            chain: _Span(*bounds)
            for chain, bounds in zip(BUILT_IN_CHAINS[table], info.built_in, strict=True)
        }
        self.content: Final = _read(family, table, info.size)
        """All entries, in memory that is zero where the kernel writes nothing."""

    def chains(self) -> list[str]:
        """The names of all chains."""
        return list(self._spans)

    def has_chain(self, chain: str) -> bool:
        """Whether there is a chain of that name."""
        return chain in self._spans

    def entries(self, chain: str) -> list[bytes]:
        """The entries of a chain, in canonical form; none if there is no such chain."""
        content, start = self.content, self._layout.next_offset_offset
        found = []
        offset, end = self._spans.get(chain, _Span(0, 0))
        while offset < end:
            (size,) = _SIZE.unpack_from(content, offset + start)
            entry = bytes(content[offset : offset + size])
            found.append(canonical(entry, self._jump(entry), self._family))
            offset += size
        return found

    def holds(self, chain: str, entries: Sequence[bytes]) -> bool:
        """Whether a chain has these entries in canonical form, and no others.

        That is many times quicker than making those of the chain. What the kernel keeps in a form
        of its own, besides the targets of jumps, is not recognised.
        """
        start, end = self._spans.get(chain, _Span(0, -1))
        sizes = tuple(map(len, entries))
        if end - start != sum(sizes):
            return False
        targets, before, after = self._targets, self._layout.comefrom_offset, self._header_size
        expected: list[bytes] = []
        for entry in entries:
            target = entry[-STANDARD_TARGET_SIZE:]
            middle = entry[after:-STANDARD_TARGET_SIZE]
            expected += (entry[:before], middle, targets.get(target, target))
        return _cut(self._family, sizes).unpack_from(self.content, start) == tuple(expected)

    def target_of(self, entry: bytes) -> str:
        """Where an entry leads: a chain, a verdict, or the name of its target."""
        return target_name(entry, self._family)

    def rules(self, is_wanted: Callable[[str], bool]) -> Iterator[RulePlace]:
        """All rules of the chains that are wanted, chain by chain."""
        content, offsets_at = self.content, self._layout.target_offset_offset
        jumps = {verdict: name.decode() for verdict, name in self._jumps.items()}
        extensions: dict[bytes, str] = {}
        for chain, (start, end) in self._spans.items():
            if not is_wanted(chain):
                continue
            offset = start
            while offset < end:
                target_offset, size = _OFFSETS.unpack_from(content, offset + offsets_at)
                target = offset + target_offset
                if content[target + NAME_OFFSET]:
                    name = bytes(content[target + NAME_OFFSET : target + NAME_OFFSET + NAME_SIZE])
                    leads_to = extensions.get(name)
                    if leads_to is None:
                        leads_to = extensions[name] = name.partition(b"\0")[0].decode()
                else:
                    (verdict,) = _VERDICT.unpack_from(content, target + VERDICT_OFFSET)
                    leads_to = jumps.get(verdict, "")
                yield RulePlace(chain, offset, target, offset + size, leads_to)
                offset += size

    def counter_offsets(self) -> array[int]:
        """Where the counters of the entries stand."""
        start = self._layout.counters_offset
        return array("I", (offset + start for offset, _ in self._walk()))

    def _walk(self) -> Iterator[tuple[int, int]]:
        """Offset and size of each entry."""
        halves = self.content.cast("H")
        start = self._layout.next_offset_offset
        offset, end = 0, len(self.content)
        while offset < end:
            size = halves[(offset + start) // 2]
            yield offset, size
            offset += size

    @cached_property
    def _spans(self) -> dict[str, _Span]:
        """Where each chain stands.

        Raises:
            ConflictError: what was said of the built-in chains does not fit what was read.
        """
        content = self.content
        unseen = {bound for span in self._built_in.values() for bound in span}
        head_size = self._header_size + ERROR_TARGET_SIZE
        name_start = self._header_size + NAME_OFFSET
        text_start = self._header_size + EXTENSION_HEADER.size
        spans = dict(self._built_in)
        chain, start, previous = "", 0, 0
        for offset, size in self._walk():
            is_head = size == head_size and (
                content[offset + name_start : offset + name_start + NAME_SIZE] == _ERROR_NAME
            )
            if is_head:
                if chain:
                    spans[chain] = _Span(start, previous)
                text = bytes(content[offset + text_start : offset + size])
                chain, start = text.partition(b"\0")[0].decode(), offset + size
            unseen.discard(offset)
            previous = offset
        if unseen:
            raise _conflict(self._family, self._table)
        return spans

    @cached_property
    def _targets(self) -> dict[bytes, bytes]:
        """What the kernel has for the target of a jump in canonical form."""
        return {
            _JUMP.pack(STANDARD_TARGET_SIZE, name, 0): _JUMP.pack(
                STANDARD_TARGET_SIZE, b"", verdict
            )
            for verdict, name in self._jumps.items()
        }

    @cached_property
    def _jumps(self) -> dict[int, bytes]:
        """Where standard targets lead, as libiptc names it."""
        chains = {span.start: chain.encode() for chain, span in self._spans.items()}
        return VERDICTS | chains

    def _jump(self, entry: bytes) -> bytes:
        """Where a standard target leads, as libiptc names it; nothing for others."""
        (target,) = _SIZE.unpack_from(entry, self._layout.target_offset_offset)
        if entry[target + NAME_OFFSET]:
            return b""
        (verdict,) = _VERDICT.unpack_from(entry, target + VERDICT_OFFSET)
        return self._jumps.get(verdict, b"")


@cache
def _cut(family: Family, sizes: tuple[int, ...]) -> Struct:
    """Entries without what the kernel uses itself, each in three parts, the last as a jump's."""
    layout = ENTRY_LAYOUTS[family]
    own = layout.header_size - layout.comefrom_offset
    rests = (max(size - layout.header_size - STANDARD_TARGET_SIZE, 0) for size in sizes)
    return Struct(
        "="
        + "".join(
            f"{layout.comefrom_offset}s{own}x{rest}s{STANDARD_TARGET_SIZE}s" for rest in rests
        )
    )


def _read(family: Family, table: TableName, size: int) -> memoryview:
    request = _REQUEST.pack(table.value.encode(), size)
    buffer = ctypes.create_string_buffer(request, _REQUEST.size + size)
    if table_option(family, _GET_ENTRIES, buffer):
        raise _conflict(family, table)
    return memoryview(buffer).cast("B")[_REQUEST.size :]


def _conflict(family: Family, table: TableName) -> ConflictError:
    return ConflictError(f"the {family.value} table {table.value} was changed while it was read")
