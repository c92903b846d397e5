# SPDX-License-Identifier: Apache-2.0
"""A trace in words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Final

from rules.addresses import endpoint_text
from rules.ir import Family
from rules.trace.absence import Absence, Reason
from rules.trace.packet import Packet, Step
from rules.trace.refusal import Policy, Refusal
from rules.trace.report import Assumptions, Trace
from rules.trace.tracer import Fate, Outcome

_WHY_REFUSED: Final = {
    Policy.SOURCE_RANGES: "the source ranges of {where} do not admit {source}",
    Policy.NO_ENDPOINTS: "{where} has no endpoints",
    Policy.NO_LOCAL_ENDPOINTS: "{where} has no endpoints on this node, and its policy is Local",
    Policy.LOOPBACK_GUARD: "127.0.0.0/8 is closed to the network",
    Policy.OTHER_RULE: "a rule of {where} says so",
    Policy.CHAIN_POLICY: "no rule accepts it, and that is the policy of {where}",
}
_WHY_ABSENT: Final = {
    Reason.NOT_READY: "not ready",
    Reason.TERMINATING: "terminating",
    Reason.OTHER_NODE: "for another node",
    Reason.OTHER_ZONE: "for another zone",
    Reason.NOT_IN_RULES: "not in these rules, but it should be",
}


def trace_words(trace: Trace) -> str:
    """What becomes of the packet, then the rules that it meets."""
    return "\n".join(_lines(trace)) + "\n"


def _odds_text(odds: Fraction) -> str:
    """Odds in per cent; those too small to see are not called none."""
    return f"{float(odds):.2%}" if odds >= Fraction(1, 20000) else "< 0.01%"


def _lines(trace: Trace) -> Iterator[str]:
    family = trace.packet.family
    yield _packet_words(trace.packet)
    for assumptions, outcomes in trace.odds().items():
        yield ""
        yield _assumption_words(assumptions)
        for outcome, odds in outcomes.items():
            yield f"  {_odds_text(odds):>7}  {_outcome_words(outcome, trace.packet)}"
    if trace.absences:
        yield ""
        yield "It does not reach:"
        yield from map(_absence_words, trace.absences)
    shared = trace.shared_steps()
    yield ""
    yield (
        "It meets these rules:" if any(path.steps for path in trace.paths) else "It meets no rule."
    )
    yield from _step_lines(shared, family)
    for path in trace.paths:
        if len(trace.paths) > 1:
            yield f"and then, {_end_words(path.outcome)}{_if_words(path.assumptions)}:"
        yield from _step_lines(path.steps[len(shared) :], family)


def _packet_words(packet: Packet) -> str:
    origin = "from a process of this node, " if packet.is_from_this_node else ""
    source = (
        packet.source
        if packet.source_port is None
        else endpoint_text(packet.source, packet.source_port)
    )
    arrival = f", arriving at {packet.in_interface}" if packet.in_interface else ""
    destination = endpoint_text(packet.destination, packet.destination_port)
    return f"A new {packet.protocol} connection {origin}from {source} to {destination}{arrival}:"


def _assumption_words(assumptions: Assumptions) -> str:
    return f"What becomes of it{_if_words(assumptions)}:"


def _if_words(assumptions: Assumptions) -> str:
    if not assumptions:
        return ""
    remembering = [one.list_name for one in assumptions if one.is_remembered]
    return f" if {' and '.join(remembering) or 'no affinity list'} remembers the client"


def _outcome_words(outcome: Outcome, packet: Packet) -> str:
    if outcome.refusal:
        return f"{_end_words(outcome)}: {_refusal_words(outcome.refusal, packet)}"
    source = "masqueraded" if outcome.is_masqueraded else "its source unchanged"
    return f"{_end_words(outcome)}, {source}"


def _end_words(outcome: Outcome) -> str:
    """Where a packet ends."""
    endpoint = f"endpoint {outcome.destination}"
    where = endpoint if outcome.is_translated else f"{outcome.destination}, not translated"
    match outcome.fate:
        case Fate.SENT:
            return f"sent to {where}"
        case Fate.DELIVERED:
            return f"delivered on this node to {where}"
        case Fate.REJECTED | Fate.DROPPED:
            on_the_way = f" on its way to {endpoint}" if outcome.is_translated else ""
            return f"{outcome.fate.value}{on_the_way}"


def _refusal_words(refusal: Refusal, packet: Packet) -> str:
    return _WHY_REFUSED[refusal.policy].format(where=refusal.where, source=packet.source)


def _absence_words(absence: Absence) -> str:
    return f"  {absence.endpoint} of {absence.service_port}: {_WHY_ABSENT[absence.reason]}"


def _step_lines(steps: Iterable[Step], family: Family) -> Iterator[str]:
    for step in steps:
        yield f"  {step.table.value:6}  {step.number:>3}  {step.text(family)}"
