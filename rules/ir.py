# SPDX-License-Identifier: Apache-2.0
"""Rules as values: what one says, independent of how it is printed or encoded.

Values are in the form in which the kernel gives them back (networks without host bits, marks as
value and mask, probabilities as the kernel's fraction), so that two rules are equal exactly when
the kernel cannot tell them apart.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final, NamedTuple, overload


class Family(Enum):
    """An IP family: each has tables of its own."""

    IPV4 = "ipv4"
    IPV6 = "ipv6"

    @property
    def host_prefix_length(self) -> int:
        """The prefix length that names a single address."""
        return 32 if self is Family.IPV4 else 128


class TableName(Enum):
    """The tables that this project writes."""

    FILTER = "filter"
    NAT = "nat"


ACCEPT: Final = "ACCEPT"
DROP: Final = "DROP"
RETURN: Final = "RETURN"
VERDICTS: Final = frozenset({ACCEPT, DROP, RETURN})

BUILT_IN_CHAINS: Final[Mapping[TableName, tuple[str, ...]]] = {
    TableName.FILTER: ("INPUT", "FORWARD", "OUTPUT"),
    TableName.NAT: ("PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"),
}


@dataclass(frozen=True, slots=True)
class Comment:
    """``-m comment``: at most 255 bytes are kept."""

    text: str


@dataclass(frozen=True, slots=True)
class PortMatch:
    """``-m tcp|udp|sctp``, with ``--dport`` if a destination port or a range of them is given."""

    protocol: str
    destination: int | None = None
    """The port, or the first of a range; None for all."""
    last: int | None = None
    """The last of a range; None if there is one port only."""

    def includes(self, port: int) -> bool:
        """Whether ``port`` is a destination port that is asked for."""
        if self.last is None or self.destination is None:
            return self.destination in (None, port)
        return self.destination <= port <= self.last


@dataclass(frozen=True, slots=True)
class MarkMatch:
    """``-m mark --mark value/mask``."""

    value: int
    mask: int
    negated: bool = False


@dataclass(frozen=True, slots=True)
class AddressType:
    """``-m addrtype --src-type/--dst-type LOCAL``."""

    source_local: bool = False
    destination_local: bool = False


@dataclass(frozen=True, slots=True)
class ConntrackState:
    """``-m conntrack --ctstate``: states from NEW, ESTABLISHED, RELATED, INVALID, DNAT."""

    states: frozenset[str]
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Statistic:
    """``-m statistic --mode random``: matches with ``fraction`` / 2**31 (0 to 2**31)."""

    fraction: int


@dataclass(frozen=True, slots=True)
class Recent:
    """``-m recent`` on the source address: ``--set`` if ``seconds`` is None, else ``--rcheck``."""

    list_name: str
    seconds: int | None = None


@dataclass(frozen=True, slots=True)
class SetMatch:
    """``-m set --match-set set_name src``."""

    set_name: str


Match = (
    Comment | PortMatch | MarkMatch | AddressType | ConntrackState | Statistic | Recent | SetMatch
)


@dataclass(frozen=True, slots=True)
class SetMark:
    """``-j MARK --set-xmark value/mask``: clear the mask's bits, then xor the value."""

    value: int
    mask: int


@dataclass(frozen=True, slots=True)
class Masquerade:
    """``-j MASQUERADE --random-fully``."""


@dataclass(frozen=True, slots=True)
class Dnat:
    """``-j DNAT --to-destination address:port``."""

    address: str
    port: int


@dataclass(frozen=True, slots=True)
class Reject:
    """``-j REJECT`` with the family's port-unreachable message."""


@dataclass(frozen=True, slots=True)
class AddToSet:
    """``-j SET --add-set set_name src --exist --timeout timeout_seconds``; packets go on.

    The time-out begins anew for an address that is in the set already.
    """

    set_name: str
    timeout_seconds: int


Target = str | SetMark | Masquerade | Dnat | Reject | AddToSet
"""A string is a chain to jump to or one of VERDICTS, as after iptables' own ``-j``."""


class Rule(NamedTuple):
    """One rule; a named tuple since tables hold hundreds of thousands of them."""

    target: Target
    matches: tuple[Match, ...] = ()
    """In the order in which the kernel evaluates and prints them."""
    protocol: str = ""
    """tcp, udp or sctp; empty for all."""
    source: str = ""
    """Network in CIDR form without host bits; empty for all."""
    destination: str = ""
    in_interface: str = ""
    """A name, or a prefix followed by ``+``."""
    not_source: bool = False
    not_destination: bool = False
    not_in_interface: bool = False


class PatternRules(Sequence[Rule]):
    """The rules of one chain, made on demand. Equal to another if their patterns are."""

    __slots__ = ()

    @abstractmethod
    def rules(self) -> Iterable[Rule]:
        """The rules, first to last."""

    @abstractmethod
    def jump_targets(self) -> Iterable[str]:
        """The chains that the rules jump to, in no order; some may come twice."""

    @abstractmethod
    def __len__(self) -> int:
        """How many rules there are."""

    def __iter__(self) -> Iterator[Rule]:
        return iter(self.rules())

    @overload
    def __getitem__(self, index: int) -> Rule: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Rule]: ...
    def __getitem__(self, index: int | slice) -> Rule | Sequence[Rule]:
        return tuple(self.rules())[index]


Rules = tuple[Rule, ...] | PatternRules
"""The content of a chain, which never changes."""


class Hook(NamedTuple):
    """A rule that must stand in a chain that is not ours alone."""

    chain: str
    rule: Rule


class ClientSet(NamedTuple):
    """A set of addresses that each leave it by themselves after a time."""

    name: str
    timeout_seconds: int
    """Unless who adds an address says otherwise."""


@dataclass(frozen=True, slots=True)
class Table:
    """The desired content of one kernel table, as far as it is ours."""

    name: TableName
    chains: Mapping[str, Rules]
    """Chains that are ours alone: what stands in them is exactly this."""
    hooks: tuple[Hook, ...]
    """First to last per chain; whatever else stands in those chains stays."""
    shared_chains: tuple[str, ...] = ()
    """User chains that must exist for hooks, and are never emptied or deleted."""
    client_sets: tuple[ClientSet, ...] = ()
    """Sets that rules name, and that must exist before them."""


Tables = Mapping[TableName, Table]


def is_jump(target: Target) -> bool:
    """Whether ``target`` leads to another chain."""
    return isinstance(target, str) and target not in VERDICTS
