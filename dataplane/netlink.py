# SPDX-License-Identifier: Apache-2.0
"""Netlink messages to and from the kernel's netfilter, and the attributes that they are made of.

For those who exchange thousands of them: pyroute2 takes up to a millisecond for each, a hundred
times as long. The layout is that of linux/netlink.h and linux/netfilter/nfnetlink.h, which the
kernel keeps stable.
"""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct
from typing import Final, NamedTuple

from dataplane.errors import KernelError

ACKNOWLEDGE: Final = 0x4
DUMP: Final = 0x300
NESTED: Final = 0x8000
"""Flag of an attribute that holds others."""

_REQUEST: Final = 0x1
_ERROR: Final = 2
_DONE: Final = 3
_HEADER: Final = Struct("=LHHLL")
"""Length, type, flags, sequence number, port."""
_NETFILTER_HEADER: Final = Struct("=BBH")
"""Address family, version, resource."""
_ATTRIBUTE: Final = Struct("=HH")
"""Length, kind."""
_STATUS: Final = Struct("=l")
_KIND_MASK: Final = 0x3FFF
_ALIGNMENT: Final = 4

Span = tuple[int, int]
"""Where something begins and ends in a datagram."""


class UnintelligibleError(KernelError):
    """What the kernel sent is not made of messages, or they lack an attribute."""

    def __init__(self) -> None:
        super().__init__(
            "a netlink message of the kernel is not in the form that nfnetlink.h and the headers "
            "beside it describe: report this with the kernel's version"
        )


class Message(NamedTuple):
    """One message of a datagram."""

    sequence: int
    error: int | None
    """What the kernel answers to a request: an errno, or 0 if all is done; None for content."""
    content: Span


def request(kind: int, flags: int, address_family: int, sequence: int, attributes: bytes) -> bytes:
    """A request; ``kind`` has the number of its subsystem in the upper byte."""
    body = _NETFILTER_HEADER.pack(address_family, 0, 0) + attributes
    length = _HEADER.size + len(body)
    return _HEADER.pack(length, kind, _REQUEST | flags, sequence, 0) + body


def attribute(kind: int, content: bytes) -> bytes:
    """An attribute, padded to the alignment of the next."""
    length = _ATTRIBUTE.size + len(content)
    return _ATTRIBUTE.pack(length, kind) + content + bytes(_aligned(length) - length)


def messages(datagram: bytes) -> Iterator[Message]:
    """The messages in what the kernel sent at once.

    Raises:
        UnintelligibleError: it is not made of messages.
    """
    start = 0
    while start < len(datagram):
        length, kind, _, sequence, _ = _HEADER.unpack_from(datagram, start)
        if length < _HEADER.size:
            raise UnintelligibleError
        body = start + _HEADER.size
        if kind in (_ERROR, _DONE):
            (status,) = _STATUS.unpack_from(datagram, body)
            yield Message(sequence, -status, (body, body))
        else:
            yield Message(sequence, None, (body + _NETFILTER_HEADER.size, start + length))
        start += _aligned(length)


def attributes(datagram: bytes, span: Span) -> dict[int, Span]:
    """Where the content of each attribute is, by its kind; if there are two of a kind, the last.

    Raises:
        UnintelligibleError: there are no attributes at all.
    """
    found = {}
    start, end = span
    while start < end:
        length, kind = _ATTRIBUTE.unpack_from(datagram, start)
        found[kind & _KIND_MASK] = (start + _ATTRIBUTE.size, start + length)
        if length < _ATTRIBUTE.size:
            raise UnintelligibleError
        start += _aligned(length)
    return found


def find(datagram: bytes, span: Span, *wanted: int) -> Span:
    """Where the content of an attribute of one of these kinds is.

    Raises:
        UnintelligibleError: there is none.
    """
    found = look_for(datagram, span, *wanted)
    if found is None:
        raise UnintelligibleError
    return found


def look_for(datagram: bytes, span: Span, *wanted: int) -> Span | None:
    """The same; None if there is no such attribute.

    Raises:
        UnintelligibleError: there are no attributes at all.
    """
    start, end = span
    while start < end:
        length, kind = _ATTRIBUTE.unpack_from(datagram, start)
        if kind & _KIND_MASK in wanted:
            return start + _ATTRIBUTE.size, start + length
        if length < _ATTRIBUTE.size:
            raise UnintelligibleError
        start += _aligned(length)
    return None


def _aligned(length: int) -> int:
    return (length + _ALIGNMENT - 1) & -_ALIGNMENT
