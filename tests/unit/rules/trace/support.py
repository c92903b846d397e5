# SPDX-License-Identifier: Apache-2.0
"""Small rule sets, and packets that differ in what a test is about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TypedDict, Unpack

from rules.build import build
from rules.context import FamilyContext
from rules.ir import ACCEPT, BUILT_IN_CHAINS, Family, TableName
from rules.model import ServiceState
from rules.trace.absence import absences
from rules.trace.packet import Packet
from rules.trace.report import Trace
from rules.trace.rule_set import Chain, RuleSet, TracedRule, desired_rule_set
from rules.trace.tracer import Path, Tracer
from tests.address_plan import AddressPlan

CLIENT = {Family.IPV4: "203.0.113.10", Family.IPV6: "2001:db8:c::10"}
SERVER = "198.51.100.80"
LOCAL_NETWORKS = ("127.0.0.0/8", "192.0.2.11/32")


class PacketFields(TypedDict, total=False):
    """Fields of a packet that a test may name."""

    protocol: str
    source: str
    source_port: int | None
    destination: str
    destination_port: int
    in_interface: str | None
    is_from_this_node: bool
    mark: int


def packet(**fields: Unpack[PacketFields]) -> Packet:
    """A tcp packet from the client to port 80 of a server elsewhere."""
    base = Packet(
        protocol="tcp", source=CLIENT[Family.IPV4], destination=SERVER, destination_port=80
    )
    return replace(base, **fields)


def rule_set(
    nat: Mapping[str, tuple[TracedRule, ...]] | None = None,
    filters: Mapping[str, tuple[TracedRule, ...]] | None = None,
    policies: Mapping[str, str] | None = None,
) -> RuleSet:
    """Tables with these chains; built-in ones that are not named are empty and accept."""
    policies = policies or {}
    return {
        table: {
            **{name: Chain((), policies.get(name, ACCEPT)) for name in BUILT_IN_CHAINS[table]},
            **{
                name: Chain(rules, policies.get(name, ACCEPT))
                if name in BUILT_IN_CHAINS[table]
                else Chain(rules)
                for name, rules in chains.items()
            },
        }
        for table, chains in ((TableName.NAT, nat or {}), (TableName.FILTER, filters or {}))
    }


def follow(rules: RuleSet, **fields: Unpack[PacketFields]) -> tuple[Path, ...]:
    """The ways of a packet through ``rules``."""
    return Tracer(rules, LOCAL_NETWORKS).paths(packet(**fields))


def trace_services(
    plan: AddressPlan,
    on_node: FamilyContext,
    *states: ServiceState,
    **fields: Unpack[PacketFields],
) -> Trace:
    """What becomes of a packet to the first cluster IP of a node with these Services."""
    services = {state.service.key: state for state in states}
    base = packet(source=CLIENT[plan.family], destination=plan.cluster_ip)
    sent = replace(base, **fields)
    networks = (plan.loopback_network, plan.host(plan.node_ip))
    paths = Tracer(desired_rule_set(build(services, on_node)), networks).paths(sent)
    return Trace(sent, paths, absences(paths, services, on_node))
