# SPDX-License-Identifier: Apache-2.0
"""Whether a packet meets a rule, in the order in which the kernel asks.

Sources: linux/net/ipv4/netfilter/ip_tables.c and the matches in linux/net/netfilter/xt_*.c.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from rules.addresses import contains
from rules.ir import (
    AddressType,
    ConntrackState,
    Family,
    MarkMatch,
    Match,
    PortMatch,
    Recent,
    Rule,
    SetMatch,
    Statistic,
)
from rules.trace.errors import Missing, UnknownPacketError, UnknownRuleError
from rules.trace.packet import Assumption, Branch, Packet, Step
from rules.trace.rule_set import ANY_PORT, ForeignRule, PortRanges, TracedRule

_FRACTION_ONE = 1 << 31
_AFTER_ROUTING = "POSTROUTING"


class Matcher:
    """Judges rules for packets of one node in one built-in chain."""

    def __init__(self, family: Family, hook: str, local_networks: tuple[str, ...]) -> None:
        """``local_networks`` hold the addresses that this node has for its own."""
        self._family = family
        self._hook = hook
        self._local_networks = local_networks

    def outcomes(self, step: Step, branch: Branch) -> Iterator[tuple[bool, Branch]]:
        """The branches that a rule makes of one, each with whether it meets the rule.

        Those that do not meet it come first.

        Raises:
            UnknownRuleError: the rule asks for what is not understood.
            UnknownPacketError: it asks for what was not said of the packet.
        """
        known, foreign = _parts(step.rule)
        if foreign and foreign.goes_on and foreign.unknown:
            # Whether it is met or not makes no difference.
            yield False, branch
            return
        packet = branch.packet
        is_possible = self._is_header_met(known, step, packet) and all(
            self._are_ports_met(one, step, packet) for one in (foreign.ports if foreign else ())
        )
        if not is_possible:
            yield False, branch
            return
        for match in known.matches:
            unmet, met = self._split(match, branch)
            if unmet:
                yield False, unmet
            if not met:
                return
            branch = met
        if foreign and foreign.unknown:
            raise UnknownRuleError(step, foreign.unknown, self._family)
        yield True, branch

    def _is_header_met(self, rule: Rule, step: Step, packet: Packet) -> bool:
        return (
            rule.protocol in ("", packet.protocol)
            and _is_in(rule.source, packet.source, negated=rule.not_source)
            and _is_in(rule.destination, packet.destination, negated=rule.not_destination)
            and self._is_interface_met(rule, step, packet)
        )

    def _is_interface_met(self, rule: Rule, step: Step, packet: Packet) -> bool:
        if not rule.in_interface:
            return True
        if self._hook == _AFTER_ROUTING:
            # Kernels differ in whether they still know it there.
            raise UnknownRuleError(step, ("the input interface after routing",), self._family)
        if packet.is_from_this_node:
            name = ""
        elif packet.in_interface is None:
            raise UnknownPacketError(step, Missing.IN_INTERFACE, self._family)
        else:
            name = packet.in_interface
        wanted = rule.in_interface
        is_met = name.startswith(wanted[:-1]) if wanted.endswith("+") else name == wanted
        return is_met is not rule.not_in_interface

    def _are_ports_met(self, ports: PortRanges, step: Step, packet: Packet) -> bool:
        if packet.protocol != ports.protocol:
            return False
        first, last = ports.destination
        if not first <= packet.destination_port <= last:
            return False
        if ports.source == ANY_PORT:
            return True
        if packet.source_port is None:
            raise UnknownPacketError(step, Missing.SOURCE_PORT, self._family)
        first, last = ports.source
        return first <= packet.source_port <= last

    def _split(self, match: Match, branch: Branch) -> tuple[Branch | None, Branch | None]:
        """The parts of a branch for which ``match`` is false and true; None where there is none."""
        match match:
            case Statistic(fraction):
                share = Fraction(fraction, _FRACTION_ONE)
                unmet = branch.likely(1 - share) if share < 1 else None
                return unmet, branch.likely(share) if share else None
            case Recent(name, seconds) if seconds is not None:
                return _remembering(name, branch)
            case SetMatch(name):
                return _remembering(name, branch)
            case _:
                return (None, branch) if self._is_true(match, branch) else (branch, None)

    def _is_true(self, match: Match, branch: Branch) -> bool:
        """Whether a match is true that has nothing to do with chance or memory."""
        packet = branch.packet
        match match:
            case PortMatch(protocol):
                return packet.protocol == protocol and match.includes(packet.destination_port)
            case MarkMatch(value, mask, negated):
                return (packet.mark & mask == value) is not negated
            case AddressType(source_local, destination_local):
                return (not source_local or self._is_local(packet.source)) and (
                    not destination_local or self._is_local(packet.destination)
                )
            case ConntrackState(states, negated):
                return bool(states & _conntrack_states(branch)) is not negated
            case _:
                return True

    def _is_local(self, address: str) -> bool:
        return any(contains(network, address) for network in self._local_networks)


def _parts(rule: TracedRule) -> tuple[Rule, ForeignRule | None]:
    return (rule.known, rule) if isinstance(rule, ForeignRule) else (rule, None)


def _is_in(network: str, address: str, *, negated: bool) -> bool:
    """Whether ``address`` is as a rule wants it; no network means any address."""
    return contains(network, address) is not negated if network else not negated


def _conntrack_states(branch: Branch) -> set[str]:
    """What conntrack says of the packet, translations being states of their own."""
    states = {"NEW"}
    if branch.is_translated:
        states.add("DNAT")
    if branch.is_masqueraded:
        states.add("SNAT")
    return states


def _remembering(name: str, branch: Branch) -> tuple[Branch | None, Branch | None]:
    """The branches in which a list does not hold the packet's source, and in which it does."""
    for assumption in branch.assumptions:
        if assumption.list_name == name:
            return (None, branch) if assumption.is_remembered else (branch, None)
    return (
        branch.assuming(Assumption(name, is_remembered=False)),
        branch.assuming(Assumption(name, is_remembered=True)),
    )
