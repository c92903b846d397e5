# SPDX-License-Identifier: Apache-2.0
"""Sets of clients as the kernel's netlink messages: made, found, emptied, destroyed.

pyroute2 takes a millisecond to make a set and a quarter of a second to load, which a node with
thousands of sets has no time for. The layout is that of linux/netfilter/ipset/ip_set.h, in version
7 of the protocol: older kernels, before 5.0, do not tell the numbers of sets.
"""

from __future__ import annotations

import os
import socket
from struct import Struct
from typing import Final, NamedTuple

from dataplane import netlink
from dataplane.netlink import (
    ACKNOWLEDGE,
    DUMP,
    NESTED,
    Span,
    UnintelligibleError,
    attribute,
    attributes,
    find,
    look_for,
)
from rules.affinity import HASH_SIZE, MOST_CLIENTS
from rules.ir import ClientSet, Family

_SUBSYSTEM: Final = 6 << 8
_CREATE, _DESTROY, _FLUSH, _LIST, _GET_BY_NAME = 2, 3, 4, 7, 14

# Kinds of attributes: of messages, then of the data in them.
_PROTOCOL, _NAME, _TYPE, _REVISION, _FAMILY, _FLAGS, _DATA, _INDEX = 1, 2, 3, 4, 5, 6, 7, 11
_TIMEOUT, _HASH_SIZE, _MOST_ELEMENTS = 6, 18, 19
_BIG_ENDIAN: Final = 0x4000
_LIST_HEADERS: Final = 1 << 2
"""Flag of a listing: without the members of sets."""

_VERSION: Final = attribute(_PROTOCOL, bytes([7]))
_HASH_OF_ADDRESSES: Final = b"hash:ip\0"
_FIRST_REVISION: Final = bytes([0])
"""Of the type: it has all that is needed here, and every kernel has it."""
_NUMBER: Final = Struct("!L")
_SHORT_NUMBER: Final = Struct("!H")
_FAMILY_NUMBERS: Final = {Family.IPV4: 2, Family.IPV6: 10}
_FAMILIES: Final = {number: family for family, number in _FAMILY_NUMBERS.items()}

_REASONS: Final = {
    4097: "the kernel has no version 7 of ipset's protocol",
    4098: "the kernel has no sets of type hash:ip (module ip_set_hash_ip)",
    4099: "the kernel has as many sets as it can have",
    4100: "a rule names it",
}


class KernelSet(NamedTuple):
    """A set as the kernel lists it."""

    name: str
    number: int
    """By which the kernel's rules name it."""
    family: Family | None
    """None for kinds of sets that do not hold addresses of one family."""
    is_of_clients: bool
    """Whether it is a hash of addresses that leave it by themselves."""


def reason_text(number: int) -> str:
    """Why the kernel refused: its errno, or an error of ipset's own."""
    return _REASONS.get(number) or os.strerror(number)


def create_request(
    one: ClientSet, family: Family, sequence: int, *, is_answered: bool = True
) -> bytes:
    """Ask for a new set; refused if there is one of that name.

    Unless it ``is_answered``, the kernel answers only if it refuses.
    """
    data = (
        attribute(_TIMEOUT | _BIG_ENDIAN, _NUMBER.pack(one.timeout_seconds))
        + attribute(_HASH_SIZE | _BIG_ENDIAN, _NUMBER.pack(HASH_SIZE))
        + attribute(_MOST_ELEMENTS | _BIG_ENDIAN, _NUMBER.pack(MOST_CLIENTS))
    )
    attributes = (
        _named(one.name)
        + attribute(_TYPE, _HASH_OF_ADDRESSES)
        + attribute(_REVISION, _FIRST_REVISION)
        + attribute(_FAMILY, bytes([_FAMILY_NUMBERS[family]]))
        + attribute(_DATA | NESTED, data)
    )
    return _request(_CREATE, ACKNOWLEDGE if is_answered else 0, sequence, attributes)


def destroy_request(name: str, sequence: int) -> bytes:
    """Ask for the end of a set."""
    return _request(_DESTROY, ACKNOWLEDGE, sequence, _named(name))


def flush_request(name: str, sequence: int) -> bytes:
    """Ask for the end of all members of a set."""
    return _request(_FLUSH, ACKNOWLEDGE, sequence, _named(name))


def number_request(name: str, sequence: int) -> bytes:
    """Ask for the number of a set."""
    return _request(_GET_BY_NAME, 0, sequence, _named(name))


def list_request(sequence: int) -> bytes:
    """Ask for all sets, without their members."""
    flags = attribute(_FLAGS | _BIG_ENDIAN, _NUMBER.pack(_LIST_HEADERS))
    return _request(_LIST, DUMP, sequence, _VERSION + flags)


def read_number(datagram: bytes, content: Span) -> int:
    """The number of a set, in the answer to either question."""
    number: int = _SHORT_NUMBER.unpack_from(datagram, find(datagram, content, _INDEX)[0])[0]
    return number


def read_set(datagram: bytes, content: Span) -> KernelSet:
    """A set of a listing."""
    told = attributes(datagram, content)
    try:
        name, kind = slice(*told[_NAME]), slice(*told[_TYPE])
        (number,) = _SHORT_NUMBER.unpack_from(datagram, told[_INDEX][0])
        family = datagram[told[_FAMILY][0]]
        data = told[_DATA]
    except KeyError:
        raise UnintelligibleError from None
    is_hash = datagram[kind] == _HASH_OF_ADDRESSES
    return KernelSet(
        datagram[name].rstrip(b"\0").decode(errors="replace"),
        number,
        _FAMILIES.get(family),
        is_hash and look_for(datagram, data, _TIMEOUT) is not None,
    )


def _named(name: str) -> bytes:
    return _VERSION + attribute(_NAME, name.encode() + b"\0")


def _request(command: int, flags: int, sequence: int, attributes: bytes) -> bytes:
    return netlink.request(_SUBSYSTEM | command, flags, socket.AF_INET, sequence, attributes)
