# SPDX-License-Identifier: Apache-2.0
"""Matches and targets of the kernel's entries: what each may say, by its name.

Readers here only propose; :mod:`dataplane.kernel.decode` encodes what they propose and takes it for
true if the bytes are the same. So a reader may look at what it needs and no further.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from ipaddress import ip_address
from struct import unpack_from
from typing import Final

from dataplane.kernel.encode import DNAT_RANGE, STATE_BITS
from rules.ir import (
    AddressType,
    AddToSet,
    Comment,
    ConntrackState,
    Dnat,
    Family,
    MarkMatch,
    Masquerade,
    Match,
    PortMatch,
    Recent,
    Reject,
    SetMark,
    SetMatch,
    Statistic,
    Target,
)
from rules.trace.rule_set import PortRanges

_UNPORTED_SIZE: Final = {"tcp": 4, "udp": 1}
"""Bytes after the ports that are zero if nothing but ports is asked for."""
_LAST_PORT: Final = 0xFFFF


def read_comment(data: bytes) -> Comment:
    """A comment, which is understood whatever stands after its end."""
    return Comment(data.partition(b"\0")[0].decode(errors="replace"))


def read_ports(protocol: str, data: bytes) -> PortRanges | None:
    """Ranges of ports of tcp or udp; None if more than ports is asked for."""
    if protocol not in _UNPORTED_SIZE:
        return None
    first, last, first_destination, last_destination = unpack_from("=HHHH", data)
    if any(data[8 : 8 + _UNPORTED_SIZE[protocol]]):
        return None
    return PortRanges(protocol, (first, last), (first_destination, last_destination))


def _port(protocol: str) -> Callable[[bytes], Match]:
    def read(data: bytes) -> Match:
        ports = unpack_from("=HHHH", data)
        # sctp has the destination first, and zero for any port.
        first, last = ports[:2] if protocol == "sctp" else ports[2:]
        if last in (0, _LAST_PORT) and first == 0:
            return PortMatch(protocol)
        return PortMatch(protocol, first, None if last == first else last)

    return read


def _mark(data: bytes) -> Match:
    value, mask, negated = unpack_from("=IIB", data)
    return MarkMatch(value, mask, bool(negated))


def _address_type(data: bytes) -> Match:
    source, destination = unpack_from("=HH", data)
    return AddressType(bool(source), bool(destination))


def _conntrack(data: bytes) -> Match:
    inverted, bits = unpack_from("=HH", data, 148)
    return ConntrackState(
        frozenset(state for state, bit in STATE_BITS.items() if bits & bit), bool(inverted)
    )


def _statistic(data: bytes) -> Match:
    (fraction,) = unpack_from("=I", data, 4)
    return Statistic(fraction)


def _recent(data: bytes) -> Match:
    seconds, _, _, _, name = unpack_from("=IIBB200s", data)
    return Recent(name.partition(b"\0")[0].decode(errors="replace"), seconds or None)


def set_match_reader(names: Mapping[int, str]) -> Callable[[bytes], Match]:
    """A reader for those who know the ``names`` of sets by their numbers."""

    def read(data: bytes) -> Match:
        (index,) = unpack_from("=H", data)
        return SetMatch(names.get(index, ""))

    return read


MATCH_READERS: Final[dict[str, Callable[[bytes], Match]]] = {
    "comment": read_comment,
    "tcp": _port("tcp"),
    "udp": _port("udp"),
    "sctp": _port("sctp"),
    "mark": _mark,
    "addrtype": _address_type,
    "conntrack": _conntrack,
    "statistic": _statistic,
    "recent": _recent,
}


def _set_mark(data: bytes, _family: Family) -> Target:
    return SetMark(*unpack_from("=II", data))


def _dnat(data: bytes, family: Family) -> Target:
    address, _, port, _ = DNAT_RANGE.unpack_from(data, 4)
    return Dnat(str(ip_address(address[: 4 if family is Family.IPV4 else 16])), port)


def _masquerade(_data: bytes, _family: Family) -> Target:
    return Masquerade()


def _reject(_data: bytes, _family: Family) -> Target:
    return Reject()


def set_target_reader(names: Mapping[int, str]) -> Callable[[bytes, Family], Target]:
    """The same for targets."""

    def read(data: bytes, _family: Family) -> Target:
        (index, seconds) = unpack_from("=H14xI", data)
        return AddToSet(names.get(index, ""), seconds)

    return read


TARGET_READERS: Final[dict[str, Callable[[bytes, Family], Target]]] = {
    "MARK": _set_mark,
    "DNAT": _dnat,
    "MASQUERADE": _masquerade,
    "REJECT": _reject,
}

SAME_WHATEVER_THEIR_OPTIONS: Final = frozenset({"MASQUERADE", "REJECT"})
"""Targets whose options change neither where a packet goes nor whether it goes on."""

WITHOUT_EFFECT: Final = frozenset({"", "LOG", "NFLOG", "TRACE", "AUDIT"})
"""Targets that leave packets as they are, for the next rule to judge."""
