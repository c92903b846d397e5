# SPDX-License-Identifier: Apache-2.0
"""A trace as plain values that any JSON encoder takes, for programs.

The form is stable: fields may be added, none is renamed or removed::

    {"packet": {"protocol": P, "source": IP, "destination": IP, "destinationPort": N,
                "sourcePort": N or null, "inInterface": NAME or null, "fromThisNode": BOOL},
     "paths": [{"odds": "1/2", "probability": 0.5,
                "assumptions": [{"list": NAME, "remembered": BOOL}...],
                "fate": "sent" | "delivered" | "rejected" | "dropped",
                "destination": "IP:PORT", "endpoint": "IP:PORT" or null, "masqueraded": BOOL,
                "refusal": {"policy": POLICY, "where": TEXT} or null,
                "steps": [{"table": TABLE, "chain": NAME, "number": N, "rule": TEXT}...]}...],
     "absent": [{"servicePort": NAME, "endpoint": "IP:PORT", "reason": REASON}...]}

``odds`` is exact, as a fraction; those of the paths with the same assumptions add up to 1.
``endpoint`` is the destination if the packet was translated. ``rule`` is what ``iptables-save``
prints. POLICY and REASON are the values of :class:`rules.trace.refusal.Policy` and
:class:`rules.trace.absence.Reason`.
"""

from __future__ import annotations

from rules.ir import Family
from rules.jsonform import JsonObject
from rules.trace.packet import Packet, Step
from rules.trace.refusal import Refusal
from rules.trace.report import Trace
from rules.trace.tracer import Path


def json_trace(trace: Trace) -> JsonObject:
    """All that was found."""
    return {
        "packet": _packet(trace.packet),
        "paths": [_path(path, trace.packet.family) for path in trace.paths],
        "absent": [
            {
                "servicePort": absence.service_port,
                "endpoint": absence.endpoint,
                "reason": absence.reason.value,
            }
            for absence in trace.absences
        ],
    }


def _packet(packet: Packet) -> JsonObject:
    return {
        "protocol": packet.protocol,
        "source": packet.source,
        "sourcePort": packet.source_port,
        "destination": packet.destination,
        "destinationPort": packet.destination_port,
        "inInterface": packet.in_interface,
        "fromThisNode": packet.is_from_this_node,
    }


def _path(path: Path, family: Family) -> JsonObject:
    outcome = path.outcome
    return {
        "odds": str(path.odds),
        "probability": float(path.odds),
        "assumptions": [
            {"list": one.list_name, "remembered": one.is_remembered} for one in path.assumptions
        ],
        "fate": outcome.fate.value,
        "destination": outcome.destination,
        "endpoint": outcome.destination if outcome.is_translated else None,
        "masqueraded": outcome.is_masqueraded,
        "refusal": _refusal(outcome.refusal),
        "steps": [_step(step, family) for step in path.steps],
    }


def _refusal(refusal: Refusal | None) -> JsonObject | None:
    return refusal and {"policy": refusal.policy.value, "where": refusal.where}


def _step(step: Step, family: Family) -> JsonObject:
    return {
        "table": step.table.value,
        "chain": step.chain,
        "number": step.number,
        "rule": step.text(family),
    }
