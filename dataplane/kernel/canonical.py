# SPDX-License-Identifier: Apache-2.0
"""What the kernel gives back, made comparable with what :mod:`dataplane.kernel.encode` makes.

The kernel keeps a rule as it got it, but for: counters; ``nfcache`` and ``comefrom``, which it uses
itself; a jump's target, which is an offset; and what follows the NUL of an extension's name, which
is whatever the reader's buffer held before. Comparing these would report drift where there is none.
The same goes for what IPv4 leaves unused of the ``recent`` match's mask, which iptables fills in
one way if the rule names the mask and in another if it does not.
"""

from __future__ import annotations

from struct import Struct, unpack_from
from typing import Final

from dataplane.kernel.layout import (
    COUNTERS_SIZE,
    ENTRY_LAYOUTS,
    NAME_OFFSET,
    NAME_SIZE,
    VERDICT_OFFSET,
)
from rules.ir import Family

_ZERO_COUNTERS: Final = bytes(COUNTERS_SIZE)
_ZERO_WORD: Final = bytes(4)
_EXTENSION_START: Final = Struct(f"=H{NAME_SIZE}s")
_RECENT: Final = b"recent\0"
_RECENT_UNUSED_MASK: Final = {Family.IPV4: (248, b"\xff" * 12), Family.IPV6: (260, b"")}
"""Where it stands in the extension, and what the encoder puts there."""


def canonical(entry: bytes, jump: bytes, family: Family) -> bytes:
    """The entry as it would be encoded anew.

    Args:
        entry: the whole entry as read.
        jump: the chain or verdict that a standard target leads to, as libiptc names it; other
            targets keep their own names.
        family: the family of the entry's table.
    """
    layout = ENTRY_LAYOUTS[family]
    clean = bytearray(entry)
    clean[layout.nfcache_offset : layout.nfcache_offset + 4] = _ZERO_WORD
    clean[layout.comefrom_offset : layout.comefrom_offset + 4] = _ZERO_WORD
    clean[layout.counters_offset : layout.counters_offset + COUNTERS_SIZE] = _ZERO_COUNTERS
    (target,) = unpack_from("=H", entry, layout.target_offset_offset)
    offset = layout.header_size
    while offset < target:
        size, name = _EXTENSION_START.unpack_from(entry, offset)
        _set_name(clean, offset, name)
        if name.startswith(_RECENT):
            start, unused = _RECENT_UNUSED_MASK[family]
            clean[offset + start : offset + start + len(unused)] = unused
        offset += size
    _, name = _EXTENSION_START.unpack_from(entry, target)
    if name[0]:
        _set_name(clean, target, name)
    else:
        _set_name(clean, target, jump)
        clean[target + VERDICT_OFFSET : target + VERDICT_OFFSET + 4] = _ZERO_WORD
    return bytes(clean)


def target_name(entry: bytes, family: Family) -> str:
    """Where an entry in canonical form leads: a chain, a verdict, or the name of its target."""
    (target,) = unpack_from("=H", entry, ENTRY_LAYOUTS[family].target_offset_offset)
    _, name = _EXTENSION_START.unpack_from(entry, target)
    text: bytes = name.partition(b"\0")[0]
    return text.decode()


def _set_name(entry: bytearray, extension: int, name: bytes) -> None:
    start = extension + NAME_OFFSET
    entry[start : start + NAME_SIZE] = name.partition(b"\0")[0].ljust(NAME_SIZE, b"\0")
