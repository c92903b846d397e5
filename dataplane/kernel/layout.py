# SPDX-License-Identifier: Apache-2.0
"""Where things stand in the kernel's entries: offsets, sizes and bits of the xtables ABI.

Sources: linux/include/uapi/linux/netfilter/x_tables.h, netfilter_ipv4/ip_tables.h,
netfilter_ipv6/ip6_tables.h and the headers of the extensions; revisions are those that iptables
1.8.9 chooses. All numbers are in host byte order unless a name says big endian.
"""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct
from typing import Final, NamedTuple

from rules.ir import Family

IFNAMSIZ: Final = 16
COUNTERS: Final = Struct("=QQ")
COUNTERS_SIZE: Final = COUNTERS.size

EXTENSION_HEADER: Final = Struct("=H29sB")
"""Size of the whole extension, its name, its revision."""
NAME_OFFSET: Final = 2
NAME_SIZE: Final = 29
STANDARD_TARGET_SIZE: Final = 40
VERDICT_OFFSET: Final = 32
"""Of a standard target's verdict, from the target's start."""
VERDICTS: Final = {-1: b"DROP", -2: b"ACCEPT", -4: b"QUEUE", -5: b"RETURN"}
"""Of standard targets; a number that is not negative is the offset of a rule."""
ERROR_TARGET_SIZE: Final = 64
"""Of the target with which a chain begins."""

COMMENT_SIZE: Final = 256
"""XT_MAX_COMMENT_LEN in xt_comment.h: the text and a NUL, which is all that the match has."""
STATISTIC_SIZE: Final = 56
"""Of the whole match: its header and xt_statistic_info in xt_statistic.h, 24 bytes."""
SCTP_CHUNK_MAP_SIZE: Final = 256
"""xt_sctp_info in xt_sctp.h: 64 words for the kinds of chunks."""
NAT_RANGE_SIZE: Final = 48
"""nf_nat_range2 in nf_nat.h, 44 bytes, padded to the alignment of targets, which is 8."""

INVERT_IN_INTERFACE: Final = 0x01
INVERT_SOURCE: Final = 0x08
INVERT_DESTINATION: Final = 0x10

IP6T_F_PROTO: Final = 0x01
"""Must be set whenever an IPv6 entry names a protocol, else the kernel ignores it."""

PROTOCOL_NUMBERS: Final = {"": 0, "tcp": 6, "udp": 17, "sctp": 132}


class Counters(NamedTuple):
    """What a rule has counted."""

    packets: int
    bytes: int


@dataclass(frozen=True, slots=True)
class EntryLayout:
    """One family's entry header: source and destination, their masks, then what both share."""

    address_size: int
    header_after_networks: Struct
    """Interface names (in, out) and their masks, protocol, flags, inverted flags, nfcache, target
    offset, next offset, comefrom, packets, bytes."""
    nfcache_offset: int
    target_offset_offset: int
    next_offset_offset: int
    comefrom_offset: int
    counters_offset: int
    protocol_flag: int
    """Flag that an entry with a protocol must carry."""

    @property
    def header_size(self) -> int:
        """Bytes before the first match."""
        return self.counters_offset + COUNTERS_SIZE


ENTRY_LAYOUTS: Final = {
    Family.IPV4: EntryLayout(
        address_size=4,
        header_after_networks=Struct("=16s16s16s16sHBBIHHIQQ"),
        nfcache_offset=84,
        target_offset_offset=88,
        next_offset_offset=90,
        comefrom_offset=92,
        counters_offset=96,
        protocol_flag=0,
    ),
    # A byte for the unused type-of-service match precedes the flags, and the structure is padded
    # to its alignment after inverted flags and after comefrom.
    Family.IPV6: EntryLayout(
        address_size=16,
        header_after_networks=Struct("=16s16s16s16sHxBB3xIHHI4xQQ"),
        nfcache_offset=136,
        target_offset_offset=140,
        next_offset_offset=142,
        comefrom_offset=144,
        counters_offset=152,
        protocol_flag=IP6T_F_PROTO,
    ),
}
