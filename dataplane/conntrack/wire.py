# SPDX-License-Identifier: Apache-2.0
"""Conntrack entries and requests as the kernel's netlink messages.

pyroute2 takes about a millisecond to decode an entry, a hundred times as long as it takes to pick
out the few attributes that matter, and holds the rest of the table in memory meanwhile. The layout
is that of linux/netlink.h and linux/netfilter/nfnetlink_conntrack.h, which the kernel keeps stable.
"""

from __future__ import annotations

import socket
from collections.abc import Collection, Iterator
from functools import lru_cache
from ipaddress import ip_address
from struct import Struct
from typing import Final, NamedTuple

from dataplane.conntrack.errors import ConntrackError
from rules.flows import Flow, SocketAddress
from rules.ir import Family

_PROTOCOL_NUMBERS: Final = {"udp": socket.IPPROTO_UDP, "sctp": socket.IPPROTO_SCTP}
_PROTOCOL_NAMES: Final = {number: name for name, number in _PROTOCOL_NUMBERS.items()}
_ADDRESS_FAMILIES: Final = {Family.IPV4: socket.AF_INET, Family.IPV6: socket.AF_INET6}

_HEADER: Final = Struct("=LHHLL")
"""Length, type, flags, sequence number, port."""
_NETFILTER_HEADER: Final = Struct("=BBH")
"""Address family, version, resource."""
_ATTRIBUTE: Final = Struct("=HH")
"""Length, kind."""
_STATUS: Final = Struct("=l")
_FLAGS: Final = Struct("=L")
_PORT: Final = Struct("!H")
_ALIGNMENT: Final = 4

_ERROR: Final = 2
_DONE: Final = 3
_GET: Final = 0x101
_DELETE: Final = 0x102
_REQUEST: Final = 0x1
_ACKNOWLEDGE: Final = 0x4
_DUMP: Final = 0x300

# Kinds of attributes. Those of addresses differ by family and are looked for together.
_KIND_MASK: Final = 0x3FFF
_NESTED: Final = 0x8000
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

Span = tuple[int, int]
"""Where something begins and ends in a datagram."""


class Message(NamedTuple):
    """One message of a datagram."""

    sequence: int
    error: int | None
    """What the kernel answers to a request: an errno, or 0 if all is done; None for an entry."""
    entry: Span


def dump_request(family: Family, protocol: str, sequence: int) -> bytes:
    """Ask for all entries of ``protocol``; kernels before 5.8 add those of all others."""
    number = _attribute(_PROTOCOL, bytes([_PROTOCOL_NUMBERS[protocol]]))
    flow = _attribute(_ORIGINAL | _NESTED, _attribute(_TUPLE_PORTS | _NESTED, number))
    by = _attribute(_FILTER | _NESTED, _attribute(_FILTER_ORIGINAL, _FLAGS.pack(_BY_PROTOCOL)))
    return _request(_GET, _DUMP, family, sequence, flow + by)


def delete_request(family: Family, name: bytes, sequence: int, *, acknowledge: bool) -> bytes:
    """Ask for the end of the entry that ``name`` was read from.

    Without ``acknowledge`` only a refusal is answered.
    """
    return _request(_DELETE, _ACKNOWLEDGE if acknowledge else 0, family, sequence, name)


def messages(datagram: bytes) -> Iterator[Message]:
    """The messages in what the kernel sent at once.

    Raises:
        ConntrackError: it is not made of messages.
    """
    start = 0
    while start < len(datagram):
        length, kind, _, sequence, _ = _HEADER.unpack_from(datagram, start)
        if length < _HEADER.size:
            raise _unintelligible()
        body = start + _HEADER.size
        if kind in (_ERROR, _DONE):
            (status,) = _STATUS.unpack_from(datagram, body)
            yield Message(sequence, -status, (body, body))
        else:
            yield Message(sequence, None, (body + _NETFILTER_HEADER.size, start + length))
        start += _aligned(length)


def read_flow(datagram: bytes, entry: Span, protocol: str, ports: Collection[int]) -> Flow | None:
    """The flow of an entry, if it is one of ``protocol`` addressed to one of ``ports``."""
    original = _find(datagram, entry, _ORIGINAL)
    ends = _find(datagram, original, _TUPLE_PORTS)
    if _PROTOCOL_NAMES.get(datagram[_find(datagram, ends, _PROTOCOL)[0]]) != protocol:
        return None
    port = _port(datagram, ends, _DESTINATION_PORT)
    if port not in ports:
        return None
    destination = _address(datagram, original, _DESTINATION_ADDRESSES)
    reply = _find(datagram, entry, _REPLY)
    reply_port = _port(datagram, _find(datagram, reply, _TUPLE_PORTS), _SOURCE_PORT)
    reply_source = _address(datagram, reply, _SOURCE_ADDRESSES)
    return Flow(protocol, SocketAddress(destination, port), SocketAddress(reply_source, reply_port))


def read_name(datagram: bytes, entry: Span) -> bytes:
    """The attributes that name an entry in a request: the flow as it began, and the entry's id."""
    original = slice(*_find(datagram, entry, _ORIGINAL))
    identity = slice(*_find(datagram, entry, _ID))
    return _attribute(_ORIGINAL | _NESTED, datagram[original]) + _attribute(_ID, datagram[identity])


def is_in_a_zone(datagram: bytes, entry: Span) -> bool:
    """Whether an entry belongs to somebody who tracks connections of an address space apart."""
    original = _find(datagram, entry, _ORIGINAL)
    places = ((entry, _ZONE), (original, _TUPLE_ZONE))
    return any(_look_for(datagram, span, kind) for span, kind in places)


def _find(datagram: bytes, span: Span, *wanted: int) -> Span:
    """Where the content of an attribute of one of these kinds is."""
    found = _look_for(datagram, span, *wanted)
    if found is None:
        raise _unintelligible()
    return found


def _look_for(datagram: bytes, span: Span, *wanted: int) -> Span | None:
    start, end = span
    while start < end:
        length, kind = _ATTRIBUTE.unpack_from(datagram, start)
        if kind & _KIND_MASK in wanted:
            return start + _ATTRIBUTE.size, start + length
        if length < _ATTRIBUTE.size:
            raise _unintelligible()
        start += _aligned(length)
    return None


def _port(datagram: bytes, ends: Span, kind: int) -> int:
    port: int = _PORT.unpack_from(datagram, _find(datagram, ends, kind)[0])[0]
    return port


def _address(datagram: bytes, flow: Span, kinds: tuple[int, ...]) -> str:
    start, end = _find(datagram, _find(datagram, flow, _TUPLE_ADDRESSES), *kinds)
    return _address_text(datagram[start:end])


@lru_cache(maxsize=4096)
def _address_text(packed: bytes) -> str:
    return str(ip_address(packed))


def _unintelligible() -> ConntrackError:
    return ConntrackError(
        "the kernel's list of conntrack entries is not in the form that nfnetlink_conntrack.h "
        "describes: report this with the kernel's version"
    )


def _request(kind: int, flags: int, family: Family, sequence: int, attributes: bytes) -> bytes:
    body = _NETFILTER_HEADER.pack(_ADDRESS_FAMILIES[family], 0, 0) + attributes
    length = _HEADER.size + len(body)
    return _HEADER.pack(length, kind, _REQUEST | flags, sequence, 0) + body


def _attribute(kind: int, content: bytes) -> bytes:
    length = _ATTRIBUTE.size + len(content)
    return _ATTRIBUTE.pack(length, kind) + content + bytes(_aligned(length) - length)


def _aligned(length: int) -> int:
    return (length + _ALIGNMENT - 1) & -_ALIGNMENT
