# SPDX-License-Identifier: Apache-2.0
"""Rules as the kernel's entries, byte for byte what iptables-legacy makes of the same rule.

A jump names its chain in the target's name field, as libiptc wants it: it turns the name into an
offset when it commits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache, lru_cache
from socket import AF_INET, AF_INET6, inet_pton
from struct import Struct
from types import MappingProxyType
from typing import Final

from dataplane.errors import UnacceptableRulesError
from dataplane.kernel.layout import (
    COMMENT_SIZE,
    ENTRY_LAYOUTS,
    EXTENSION_HEADER,
    IFNAMSIZ,
    INVERT_DESTINATION,
    INVERT_IN_INTERFACE,
    INVERT_SOURCE,
    NAT_RANGE_SIZE,
    PROTOCOL_NUMBERS,
    SCTP_CHUNK_MAP_SIZE,
    STANDARD_TARGET_SIZE,
)
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
    Rule,
    SetMark,
    SetMatch,
    Statistic,
    Target,
)
from rules.text import kept_comment

_CACHED: Final = 1 << 12
"""Entries of each cache below: what they hold is the same for many rules."""

_ANY_PORT: Final = (0, 0xFFFF)
_LOCAL: Final = 1 << 2  # RTN_LOCAL
STATE_BITS: Final = {
    "INVALID": 1,
    "ESTABLISHED": 2,
    "RELATED": 4,
    "NEW": 8,
    "SNAT": 64,
    "DNAT": 128,
}
_CONNTRACK_STATE: Final = 1  # XT_CONNTRACK_STATE
_RECENT_RCHECK, _RECENT_SET, _RECENT_REAP = 1, 2, 32
_RANGE_MAP_IPS, _RANGE_PROTO, _RANGE_RANDOM_FULLY = 1, 2, 16
_REJECT_PORT_UNREACHABLE: Final = {Family.IPV4: 3, Family.IPV6: 4}

_TCP_UDP_PORTS: Final = Struct("=HHHH")
_SCTP_INFO: Final = Struct(f"=HHHH{SCTP_CHUNK_MAP_SIZE}xI12BiII")
_SCTP_FLAG_DESTINATION: Final = 2
_SCTP_NO_CHUNK_FLAGS: Final = (0xFF, 0, 0) * 4
_STATISTIC_INFO: Final = Struct("=HHIIIQ")
_MARK_MATCH_INFO: Final = Struct("=IIB")
_MARK_TARGET_INFO: Final = Struct("=II")
_CONNTRACK_INFO: Final = Struct("=146xHHHH8x")
_RECENT_INFO: Final = Struct("=IIBB200sBx16s4x")
_ADDRTYPE_INFO: Final = Struct("=HHI")
SET_MATCH_REVISION: Final = 4
ADD_TO_SET_REVISION: Final = 3
_SET_INFO: Final = Struct("=HBB")
"""xt_set_info in xt_set.h: number of the set, how many dimensions it has, what they are."""
SET_NUMBER: Final = Struct("=H")
"""With which it begins."""
_SET_MATCH_INFO: Final = Struct("=4s44x")
"""A set, and what to ask of counters, which is nothing."""
_ADD_TO_SET_INFO: Final = Struct("=4s4s4sII")
"""Sets to add to, to delete from and to take marks from; flags; time-out."""
NO_SUCH_SET: Final = 0xFFFF
"""A number that no set has."""
_NO_SET: Final = _SET_INFO.pack(NO_SUCH_SET, 0, 0)
_FIRST_IS_SOURCE: Final = 1 << 1
_SET_EXIST: Final = 1 << 0
NO_SETS: Final[Mapping[str, int]] = MappingProxyType({})
DNAT_RANGE: Final = Struct(">16s16sHH8x")
"""First and last address, first and last port (big endian), base port and padding."""
_STANDARD_TARGET: Final = Struct("=H29sBi4x")
COMMENT_HEADER: Final = EXTENSION_HEADER.pack(EXTENSION_HEADER.size + COMMENT_SIZE, b"comment", 0)
_DNAT_HEADER: Final = EXTENSION_HEADER.pack(
    EXTENSION_HEADER.size + NAT_RANGE_SIZE, b"DNAT", 2
) + Struct("=I").pack(_RANGE_MAP_IPS | _RANGE_PROTO)
_NO_INTERFACE: Final = (bytes(IFNAMSIZ),) * 2


_MatchEncoders = dict[type[Match], Callable[..., bytes]]
_TargetEncoders = dict[type[Target], Callable[..., bytes]]


class UnencodableRuleError(UnacceptableRulesError):
    """A rule that has no form in the kernel: a defect of the code that built it."""


class Encoder:
    """Encodes the rules of one family."""

    def __init__(self, family: Family, set_indices: Mapping[str, int] = NO_SETS) -> None:
        """Encode for ``family``; ``set_indices`` has the kernel's numbers of sets by name."""
        self._family = family
        self._set_indices = set_indices
        self._matches: _MatchEncoders = {**_MATCH_ENCODERS, SetMatch: self._set_match}
        self._targets: _TargetEncoders = {**_TARGET_ENCODERS, AddToSet: self._add_to_set}
        self._layout = ENTRY_LAYOUTS[family]
        self._no_network = (bytes(self._layout.address_size),) * 2
        # Few rules differ in anything else of the header than in their networks.
        self._header = lru_cache(maxsize=_CACHED)(self._header_after_networks)

    def rule(self, rule: Rule) -> bytes:
        """The entry of one rule, with zero counters.

        Raises:
            UnencodableRuleError: the kernel has no form for it, or a set has no number.
        """
        (
            target,
            matches,
            protocol,
            source,
            destination,
            in_interface,
            not_source,
            not_destination,
            not_in_interface,
        ) = rule
        match_bytes = b"".join([self._matches[type(match)](match) for match in matches])
        target_bytes = self._targets[type(target)](target, self._family)
        source_address, source_mask = _network(source) if source else self._no_network
        address, mask = _network(destination) if destination else self._no_network
        target_offset = self._layout.header_size + len(match_bytes)
        inverted = (
            (INVERT_SOURCE if not_source else 0)
            | (INVERT_DESTINATION if not_destination else 0)
            | (INVERT_IN_INTERFACE if not_in_interface else 0)
        )
        header = self._header(
            in_interface, protocol, inverted, target_offset, target_offset + len(target_bytes)
        )
        return b"".join(
            (source_address, address, source_mask, mask, header, match_bytes, target_bytes)
        )

    def set_number(self, name: str) -> int:
        """By which the kernel knows a set.

        Raises:
            UnencodableRuleError: nobody told it.
        """
        try:
            return self._set_indices[name]
        except KeyError:
            raise UnencodableRuleError(
                f"a rule names the set {name}, whose number was not given"
            ) from None

    def _header_after_networks(
        self, in_interface: str, protocol: str, inverted: int, target_offset: int, next_offset: int
    ) -> bytes:
        name, mask = _interface(in_interface) if in_interface else _NO_INTERFACE
        no_name, no_mask = _NO_INTERFACE
        flags = self._layout.protocol_flag if protocol else 0
        number = PROTOCOL_NUMBERS[protocol]
        return self._layout.header_after_networks.pack(
            *(name, no_name, mask, no_mask),
            *(number, flags, inverted, 0),
            *(target_offset, next_offset, 0, 0, 0),
        )

    def _set_match(self, match: SetMatch) -> bytes:
        return _extension("set", SET_MATCH_REVISION, _SET_MATCH_INFO.pack(self._source_in(match)))

    def _add_to_set(self, target: AddToSet, _family: Family) -> bytes:
        info = _ADD_TO_SET_INFO.pack(
            self._source_in(target), _NO_SET, _NO_SET, _SET_EXIST, target.timeout_seconds
        )
        return _extension("SET", ADD_TO_SET_REVISION, info)

    def _source_in(self, about: SetMatch | AddToSet) -> bytes:
        """A set, which the kernel knows by a number, and that it is about the source."""
        return _SET_INFO.pack(self.set_number(about.set_name), 1, _FIRST_IS_SOURCE)


def packed_address(text: str) -> bytes:
    """An address as the kernel has it, big endian."""
    return inet_pton(AF_INET6 if ":" in text else AF_INET, text)


def _network(text: str) -> tuple[bytes, bytes]:
    """Address and mask of a network in CIDR form."""
    address, _, prefix = text.partition("/")
    packed = packed_address(address)
    return packed, _mask(prefix, len(packed) * 8)


@cache
def _mask(prefix: str, bits: int) -> bytes:
    return ((1 << bits) - (1 << bits - int(prefix))).to_bytes(bits // 8, "big")


@cache
def _interface(text: str) -> tuple[bytes, bytes]:
    """Name and mask of an interface; ``+`` at the end stands for any rest and is kept."""
    name = text.encode()
    if len(name) >= IFNAMSIZ:
        raise UnencodableRuleError(
            f"interface name {text} is longer than {IFNAMSIZ - 1} bytes; use a shorter one"
        )
    compared = len(name) - 1 if text.endswith("+") else len(name) + 1
    return name.ljust(IFNAMSIZ, b"\0"), (b"\xff" * compared).ljust(IFNAMSIZ, b"\0")


def _extension(name: str, revision: int, data: bytes) -> bytes:
    """An extension with its header, padded to the kernel's alignment."""
    size = EXTENSION_HEADER.size + len(data)
    padded = -(-size // 8) * 8
    return EXTENSION_HEADER.pack(padded, name.encode(), revision) + data + bytes(padded - size)


def _comment(match: Comment) -> bytes:
    """Not cached, as the others: most comments stand in one rule only."""
    return COMMENT_HEADER + kept_comment(match.text).encode().ljust(COMMENT_SIZE, b"\0")


def _port(match: PortMatch) -> bytes:
    return _port_extension(match.protocol, match.destination, match.last)


@lru_cache(maxsize=_CACHED)
def _port_extension(protocol: str, destination: int | None, last: int | None) -> bytes:
    asked_for = (
        None if destination is None else (destination, destination if last is None else last)
    )
    ports = asked_for or _ANY_PORT
    match protocol:
        case "tcp":
            return _extension("tcp", 0, _TCP_UDP_PORTS.pack(*_ANY_PORT, *ports) + bytes(4))
        case "udp":
            return _extension("udp", 0, _TCP_UDP_PORTS.pack(*_ANY_PORT, *ports) + bytes(2))
        case "sctp":
            return _extension("sctp", 0, _sctp_info(asked_for))
    raise UnencodableRuleError(
        f"there is no port match for protocol {protocol!r}; use tcp, udp or sctp"
    )


def _sctp_info(destination: tuple[int, int] | None) -> bytes:
    """Unlike tcp and udp: destination first, and ports that are not asked for are zero."""
    flags = _SCTP_FLAG_DESTINATION if destination else 0
    return _SCTP_INFO.pack(*(destination or (0, 0)), 0, 0, 0, *_SCTP_NO_CHUNK_FLAGS, 0, flags, 0)


def _statistic(match: Statistic) -> bytes:
    return statistic_extension(match.fraction)


@lru_cache(maxsize=_CACHED)
def statistic_extension(fraction: int) -> bytes:
    """The fraction stands twice: iptables fills the nth mode's field, which shares its place."""
    return _extension("statistic", 0, _STATISTIC_INFO.pack(0, 0, fraction, 0, fraction, 0))


@cache
def _mark(match: MarkMatch) -> bytes:
    return _extension("mark", 1, _MARK_MATCH_INFO.pack(match.value, match.mask, match.negated))


@cache
def _address_type(match: AddressType) -> bytes:
    info = _ADDRTYPE_INFO.pack(
        _LOCAL if match.source_local else 0, _LOCAL if match.destination_local else 0, 0
    )
    return _extension("addrtype", 1, info)


@cache
def _conntrack(match: ConntrackState) -> bytes:
    mask = sum(STATE_BITS[state] for state in match.states)
    inverted = _CONNTRACK_STATE if match.negated else 0
    return _extension("conntrack", 3, _CONNTRACK_INFO.pack(_CONNTRACK_STATE, inverted, mask, 0))


def _recent(match: Recent) -> bytes:
    is_set = match.seconds is None
    info = _RECENT_INFO.pack(
        match.seconds or 0,
        0,
        _RECENT_SET if is_set else _RECENT_RCHECK | _RECENT_REAP,
        0,
        match.list_name.encode(),
        0,
        b"\xff" * 16,
    )
    return _extension("recent", 1, info)


_MATCH_ENCODERS: Final[_MatchEncoders] = {
    Comment: _comment,
    PortMatch: _port,
    Statistic: _statistic,
    MarkMatch: _mark,
    AddressType: _address_type,
    ConntrackState: _conntrack,
    Recent: _recent,
}


def _jump(name: str, _family: Family) -> bytes:
    """A jump to a chain, or a verdict: libiptc knows them by their names."""
    return _STANDARD_TARGET.pack(STANDARD_TARGET_SIZE, name.encode(), 0, 0)


def _dnat(target: Dnat, _family: Family) -> bytes:
    address = packed_address(target.address)
    return _DNAT_HEADER + DNAT_RANGE.pack(address, address, target.port, target.port)


@cache
def _set_mark(target: SetMark, _family: Family) -> bytes:
    return _extension("MARK", 2, _MARK_TARGET_INFO.pack(target.value, target.mask))


@cache
def _masquerade(_target: Masquerade, family: Family) -> bytes:
    if family is Family.IPV4:
        # nf_nat_ipv4_multi_range_compat: one range without addresses and ports.
        return _extension("MASQUERADE", 0, Struct("=II12x").pack(1, _RANGE_RANDOM_FULLY))
    return _extension("MASQUERADE", 0, Struct("=I36x").pack(_RANGE_RANDOM_FULLY))


@cache
def _reject(_target: Reject, family: Family) -> bytes:
    return _extension("REJECT", 0, Struct("=I").pack(_REJECT_PORT_UNREACHABLE[family]))


_TARGET_ENCODERS: Final[_TargetEncoders] = {
    str: _jump,
    Dnat: _dnat,
    SetMark: _set_mark,
    Masquerade: _masquerade,
    Reject: _reject,
}
