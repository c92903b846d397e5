# SPDX-License-Identifier: Apache-2.0
"""The first packet of a connection, and how far it got on one of its possible ways."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import NamedTuple

from rules.addresses import endpoint_text, family_of
from rules.ir import Dnat, Family, TableName
from rules.text import save_rule
from rules.trace.rule_set import ForeignRule, TracedRule


@dataclass(frozen=True, slots=True, kw_only=True)
class Packet:
    """A packet that opens a connection, so that conntrack calls it NEW."""

    protocol: str
    """tcp, udp or sctp."""
    source: str
    source_port: int | None = None
    """None if it was not said."""
    destination: str
    destination_port: int
    in_interface: str | None = None
    """By which it arrives; None if it was not said, or if the packet comes from this node."""
    is_from_this_node: bool = False
    """Whether a process of this node sends it."""
    mark: int = 0

    @property
    def family(self) -> Family:
        """The family of its addresses."""
        return family_of(self.destination)


class Step(NamedTuple):
    """A rule that a packet met: all that it asks for was true."""

    table: TableName
    chain: str
    number: int
    """The rule's place in the chain, counted from 1 as iptables does."""
    rule: TracedRule

    def text(self, family: Family) -> str:
        """The rule as ``iptables-save`` prints it."""
        if isinstance(self.rule, ForeignRule):
            return self.rule.text(self.chain, family)
        return save_rule(self.chain, self.rule, family)


class Assumption(NamedTuple):
    """What must be so for a packet to take its way, and has no odds."""

    list_name: str
    """A list of ``-m recent`` or a set, in which session affinity remembers clients."""
    is_remembered: bool
    """Whether the packet's source stands in it."""


@dataclass(frozen=True, slots=True)
class Branch:
    """A packet part of the way, on one of the ways that it may take."""

    packet: Packet
    """As it is by now."""
    odds: Fraction = Fraction(1)
    """Of taking this way, given the assumptions."""
    assumptions: tuple[Assumption, ...] = ()
    steps: tuple[Step, ...] = ()
    is_translated: bool = False
    is_masqueraded: bool = False

    def likely(self, share: Fraction) -> Branch:
        """The part of this branch that has ``share`` of its odds."""
        return replace(self, odds=self.odds * share)

    def assuming(self, assumption: Assumption) -> Branch:
        """This branch under one more assumption."""
        return replace(self, assumptions=(*self.assumptions, assumption))

    def met(self, step: Step) -> Branch:
        """This branch with one more step."""
        return replace(self, steps=(*self.steps, step))

    def marked(self, mark: int) -> Branch:
        """This branch with another mark on its packet."""
        return replace(self, packet=replace(self.packet, mark=mark))

    def translated(self, target: Dnat) -> Branch:
        """This branch with the target's destination, which may be the one that it had."""
        packet = replace(self.packet, destination=target.address, destination_port=target.port)
        return replace(
            self, packet=packet, is_translated=self.is_translated or packet != self.packet
        )

    def masqueraded(self) -> Branch:
        """This branch with an address of this node for a source."""
        return replace(self, is_masqueraded=True)

    @property
    def destination(self) -> str:
        """Where the packet goes by now, as ``ip:port`` or ``[ip]:port``."""
        return endpoint_text(self.packet.destination, self.packet.destination_port)
