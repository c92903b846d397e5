# SPDX-License-Identifier: Apache-2.0
"""From one built-in chain to the next, in the order in which the kernel calls them."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from fractions import Fraction
from typing import Final, NamedTuple

from rules.addresses import contains
from rules.ir import ACCEPT, DROP, TableName
from rules.trace.packet import Assumption, Branch, Packet, Step
from rules.trace.refusal import Refusal, refusal_of
from rules.trace.rule_set import RuleSet
from rules.trace.walk import End, Walk


class Fate(Enum):
    """What becomes of a packet in the end."""

    DELIVERED = "delivered"
    """A process of this node gets it, if one listens there."""
    SENT = "sent"
    """It leaves this node for its destination: a pod of this node, or another machine."""
    REJECTED = "rejected"
    """It is dropped, and its sender is told."""
    DROPPED = "dropped"


class Outcome(NamedTuple):
    """Where a packet ends, and how it looks by then."""

    fate: Fate
    destination: str
    """``ip:port`` or ``[ip]:port`` in the end: the endpoint, if it was translated."""
    is_translated: bool
    is_masqueraded: bool
    refusal: Refusal | None = None
    """Why it was rejected or dropped."""


class Path(NamedTuple):
    """One way that a packet may take."""

    odds: Fraction
    """Of this way, given the assumptions."""
    assumptions: tuple[Assumption, ...]
    steps: tuple[Step, ...]
    """The rules that the packet meets, in order."""
    outcome: Outcome


class _Stage(NamedTuple):
    table: TableName
    hook: str


_NAT: Final = TableName.NAT
_FILTER: Final = TableName.FILTER
_ARRIVING: Final = (_Stage(_NAT, "PREROUTING"),)
_TO_THIS_NODE: Final = (_Stage(_FILTER, "INPUT"), _Stage(_NAT, "INPUT"))
_THROUGH: Final = (_Stage(_FILTER, "FORWARD"), _Stage(_NAT, "POSTROUTING"))
_LEAVING: Final = (
    _Stage(_NAT, "OUTPUT"),
    _Stage(_FILTER, "OUTPUT"),
    _Stage(_NAT, "POSTROUTING"),
)
_BY_LOOPBACK: Final = (_Stage(_FILTER, "INPUT"),)
"""What a packet from this node to this node passes then; nat is done with its connection."""


class Tracer:
    """Follows packets through the rules of one family on one node."""

    def __init__(self, rules: RuleSet, local_networks: tuple[str, ...]) -> None:
        """``local_networks`` hold the addresses that the node has for its own."""
        self._rules = rules
        self._local_networks = local_networks

    def paths(self, packet: Packet) -> tuple[Path, ...]:
        """All ways that ``packet`` may take, in the order of the rules.

        Raises:
            TraceError: a rule stands in its way that cannot be followed.
        """
        stages = _LEAVING if packet.is_from_this_node else _ARRIVING
        return tuple(self._follow(Branch(packet), stages))

    def _follow(self, branch: Branch, stages: tuple[_Stage, ...]) -> Iterator[Path]:
        """Send a branch through ``stages`` and what comes after them."""
        (stage, *rest) = stages
        for end in Walk(self._rules, *stage, self._local_networks).ends(branch):
            if end.verdict != ACCEPT:
                yield _stopped(end, stage)
                continue
            following = tuple(rest) or self._after(stage, end.branch)
            if following:
                yield from self._follow(end.branch, following)
            else:
                is_delivered = stage.hook == "INPUT"
                yield _path(end.branch, Fate.DELIVERED if is_delivered else Fate.SENT)

    def _after(self, stage: _Stage, branch: Branch) -> tuple[_Stage, ...]:
        """What follows the last of some stages, as the packet's destination is by now."""
        is_for_this_node = any(
            contains(network, branch.packet.destination) for network in self._local_networks
        )
        if stage.hook == "PREROUTING":
            return _TO_THIS_NODE if is_for_this_node else _THROUGH
        if stage.hook == "POSTROUTING" and is_for_this_node:
            return _BY_LOOPBACK
        return ()


def _stopped(end: End, stage: _Stage) -> Path:
    policy_of = f"{stage.table.value} {stage.hook}" if end.by_policy else ""
    refusal = refusal_of(end.branch.steps, policy_of)
    return _path(end.branch, Fate.DROPPED if end.verdict == DROP else Fate.REJECTED, refusal)


def _path(branch: Branch, fate: Fate, refusal: Refusal | None = None) -> Path:
    outcome = Outcome(
        fate, branch.destination, branch.is_translated, branch.is_masqueraded, refusal
    )
    return Path(branch.odds, branch.assumptions, branch.steps, outcome)
