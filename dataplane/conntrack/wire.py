# SPDX-License-Identifier: Apache-2.0
"""Conntrack entries and requests as the kernel's netlink messages.

Only the few attributes that matter are picked out of an entry, and nothing else of the table is
held in memory meanwhile. The layout is that of linux/netfilter/nfnetlink_conntrack.h, which the
kernel keeps stable.
"""

from __future__ import annotations

import socket
from collections.abc import Collection
from functools import lru_cache
from ipaddress import ip_address
from struct import Struct
from typing import Final

from dataplane import netlink
from dataplane.netlink import ACKNOWLEDGE, DUMP, NESTED, Span, attribute, find, look_for
from rules.flows import Flow, SocketAddress
from rules.ir import Family

_PROTOCOL_NUMBERS: Final = {"udp": socket.IPPROTO_UDP, "sctp": socket.IPPROTO_SCTP}
_PROTOCOL_NAMES: Final = {number: name for name, number in _PROTOCOL_NUMBERS.items()}
_ADDRESS_FAMILIES: Final = {Family.IPV4: socket.AF_INET, Family.IPV6: socket.AF_INET6}

_FLAGS: Final = Struct("=L")
_PORT: Final = Struct("!H")

_GET: Final = 0x101
_DELETE: Final = 0x102

# Kinds of attributes. Those of addresses differ by family and are looked for together.
_ORIGINAL: Final = 1
_REPLY: Final = 2
_ID: Final = 12
_ZONE: Final = 18
_FILTER: Final = 25
_TUPLE_ADDRESSES: Final = 1
_TUPLE_PORTS: Final = 2
_TUPLE_ZONE: Final = 3
_SOURCE_ADDRESSES: Final = (1, 3)
_DESTINATION_ADDRESSES: Final = (2, 4)
_PROTOCOL: Final = 1
_SOURCE_PORT: Final = 2
_DESTINATION_PORT: Final = 3
_FILTER_ORIGINAL: Final = 1
_BY_PROTOCOL: Final = 1 << 3


def dump_request(family: Family, protocol: str, sequence: int) -> bytes:
    """Ask for all entries of ``protocol``; kernels before 5.8 add those of all others."""
    number = attribute(_PROTOCOL, bytes([_PROTOCOL_NUMBERS[protocol]]))
    flow = attribute(_ORIGINAL | NESTED, attribute(_TUPLE_PORTS | NESTED, number))
    by = attribute(_FILTER | NESTED, attribute(_FILTER_ORIGINAL, _FLAGS.pack(_BY_PROTOCOL)))
    return _request(_GET, DUMP, family, sequence, flow + by)


def delete_request(family: Family, name: bytes, sequence: int, *, acknowledge: bool) -> bytes:
    """Ask for the end of the entry that ``name`` was read from.

    Without ``acknowledge`` only a refusal is answered.
    """
    return _request(_DELETE, ACKNOWLEDGE if acknowledge else 0, family, sequence, name)


def read_flow(datagram: bytes, entry: Span, protocol: str, ports: Collection[int]) -> Flow | None:
    """The flow of an entry, if it is one of ``protocol`` addressed to one of ``ports``."""
    original = find(datagram, entry, _ORIGINAL)
    ends = find(datagram, original, _TUPLE_PORTS)
    if _PROTOCOL_NAMES.get(datagram[find(datagram, ends, _PROTOCOL)[0]]) != protocol:
        return None
    port = _port(datagram, ends, _DESTINATION_PORT)
    if port not in ports:
        return None
    destination = _address(datagram, original, _DESTINATION_ADDRESSES)
    reply = find(datagram, entry, _REPLY)
    reply_port = _port(datagram, find(datagram, reply, _TUPLE_PORTS), _SOURCE_PORT)
    reply_source = _address(datagram, reply, _SOURCE_ADDRESSES)
    return Flow(protocol, SocketAddress(destination, port), SocketAddress(reply_source, reply_port))


def read_name(datagram: bytes, entry: Span) -> bytes:
    """The attributes that name an entry in a request: the flow as it began, and the entry's id."""
    original = slice(*find(datagram, entry, _ORIGINAL))
    identity = slice(*find(datagram, entry, _ID))
    return attribute(_ORIGINAL | NESTED, datagram[original]) + attribute(_ID, datagram[identity])


def is_in_a_zone(datagram: bytes, entry: Span) -> bool:
    """Whether an entry belongs to somebody who tracks connections of an address space apart."""
    original = find(datagram, entry, _ORIGINAL)
    places = ((entry, _ZONE), (original, _TUPLE_ZONE))
    return any(look_for(datagram, span, kind) for span, kind in places)


def _port(datagram: bytes, ends: Span, kind: int) -> int:
    port: int = _PORT.unpack_from(datagram, find(datagram, ends, kind)[0])[0]
    return port


def _address(datagram: bytes, flow: Span, kinds: tuple[int, ...]) -> str:
    start, end = find(datagram, find(datagram, flow, _TUPLE_ADDRESSES), *kinds)
    return _address_text(datagram[start:end])


@lru_cache(maxsize=4096)
def _address_text(packed: bytes) -> str:
    return str(ip_address(packed))


def _request(kind: int, flags: int, family: Family, sequence: int, attributes: bytes) -> bytes:
    return netlink.request(kind, flags, _ADDRESS_FAMILIES[family], sequence, attributes)
