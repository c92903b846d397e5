# SPDX-License-Identifier: Apache-2.0
"""A packet twice: sent for real, and followed through the rules that the kernel holds."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from dataplane.kernel.live import live_rule_set
from dataplane.local_networks import local_networks
from lab import Answered, Host, NodeLab, Outcome, Refused, Target, TimedOut, probe
from lab.plan import GATEWAY, NODE, DualStack, Pod
from rules.trace.packet import Packet
from rules.trace.tracer import Fate, Path, Tracer
from rules.trace.tracer import Outcome as TracedOutcome
from tests.address_plan import PLANS, AddressPlan
from tests.kernel.traffic import LOCAL_PODS, REMOTE_PODS, of

ENDPOINT_PORTS: Final = (80, 8080)
SERVICE_PORTS: Final = (80, 81)
OWNER: Final = Pod("owner", DualStack("10.244.1.250", "fd00:10:244:1::250"))
"""A pod that has all virtual addresses and no other part: it answers what was not translated."""

_UNTIL_DROPPED_SECONDS: Final = 0.3
_UNTIL_ANSWERED_SECONDS: Final = 5.0
"""Machines that build are slow at times, and an answer ends the wait."""


class Sender(NamedTuple):
    """Who sends a packet, and how it comes to the node."""

    host: Host
    address: str
    interface: str | None
    """None if the node itself sends it."""


def virtual_addresses(plan: AddressPlan) -> tuple[str, ...]:
    """All addresses of a family that Services may have, none of them the node's."""
    return (
        plan.cluster_ip,
        plan.other_cluster_ip,
        plan.external_ip,
        plan.ingress_ip,
        plan.other_ingress_ip,
    )


def serve_everything(machines: NodeLab) -> None:
    """Let all pods answer, and the owner at the virtual addresses."""
    for pod in (*LOCAL_PODS, *REMOTE_PODS):
        for port in ENDPOINT_PORTS:
            machines.lab.serve(machines.pods[pod.name], port)
    owner = machines.pods[OWNER.name]
    for plan in PLANS:
        for address in virtual_addresses(plan):
            owner.ip(f"address add {plan.host(address)} dev lo nodad")
            device = f"veth-{OWNER.name}"
            machines.node.ip(
                f"route add {address} dev {device} onlink via {of(plan, OWNER.address)}"
            )
            for port in SERVICE_PORTS:
                machines.lab.serve(owner, port, addresses=[address])


def live_paths(node: Host, plan: AddressPlan, sender: Sender, target: Target) -> tuple[Path, ...]:
    """The ways of a packet through the rules of ``node``."""
    packet = Packet(
        protocol=target.protocol.name.lower(),
        source=sender.address,
        destination=target.address,
        destination_port=target.port,
        in_interface=sender.interface,
        is_from_this_node=sender.interface is None,
    )
    with node.entered(), live_rule_set(plan.family) as rules:
        return Tracer(rules, local_networks(plan.family)).paths(packet)


def disagreement(paths: Iterable[Path], plan: AddressPlan, sender: Sender, target: Target) -> str:
    """How what becomes of the packet differs from all that ``paths`` allow; empty if it agrees."""
    possible = [path for path in paths if path.odds > 0]
    is_hopeless = all(path.outcome.fate is Fate.DROPPED for path in possible)
    patience = _UNTIL_DROPPED_SECONDS if is_hopeless else _UNTIL_ANSWERED_SECONDS
    seen: Outcome | None
    try:
        seen = probe(sender.host, target, source=sender.address, timeout_seconds=patience)
    except PermissionError:
        # The node's own datagram, refused before it was sent; in which way cannot be seen.
        seen = None
    if any(_is_explained(seen, path.outcome, plan, sender) for path in possible):
        return ""
    traced = [path.outcome for path in possible]
    return f"{sender.address} to {target}: seen {seen}, traced {traced}"


def _is_explained(
    seen: Outcome | None, traced: TracedOutcome, plan: AddressPlan, sender: Sender
) -> bool:
    if seen is None:
        return traced.refusal is not None
    match traced.fate:
        case Fate.DROPPED:
            return seen == TimedOut()
        case Fate.REJECTED:
            return seen == Refused()
        case Fate.SENT | Fate.DELIVERED:
            name = _listeners(plan).get(traced.destination)
            if name is None:
                return seen == Refused()
            return isinstance(seen, Answered) and (
                seen.by == name and seen.source in _sources(traced, plan, sender)
            )


def _sources(traced: TracedOutcome, plan: AddressPlan, sender: Sender) -> tuple[str, ...]:
    """What a server may see as the source of a packet."""
    if traced.is_masqueraded:
        return of(plan, GATEWAY), of(plan, NODE)
    return (sender.address,)


def _listeners(plan: AddressPlan) -> dict[str, str]:
    """Who answers at which address and port."""
    pods = {
        plan.endpoint(of(plan, pod.address), port): pod.name
        for pod in (*LOCAL_PODS, *REMOTE_PODS)
        for port in ENDPOINT_PORTS
    }
    virtual = {
        plan.endpoint(address, port): OWNER.name
        for address in virtual_addresses(plan)
        for port in SERVICE_PORTS
    }
    return {**pods, **virtual}
