# SPDX-License-Identifier: Apache-2.0
"""Laws of traces that hold for every cluster, all options and any packet."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from rules.addresses import endpoint_text, of_family
from rules.build import build
from rules.context import FamilyContext
from rules.endpoints import endpoints_of_port
from rules.ir import TableName
from rules.trace.absence import Reason, absences
from rules.trace.packet import Packet
from rules.trace.refusal import Policy
from rules.trace.report import Trace
from rules.trace.rule_set import desired_rule_set
from rules.trace.tracer import Fate, Path, Tracer
from tests.address_plan import IPV4, IPV6
from tests.property.strategies import Cluster, clusters, contexts

_SERVED = (Fate.SENT, Fate.DELIVERED)


@st.composite
def _packets(draw: DrawFn, cluster: Cluster, on_node: FamilyContext) -> Packet:
    """A packet to one of the Services' addresses, or to the node."""
    plan = IPV6 if on_node.family is IPV6.family else IPV4
    places = [(plan.node_ip, 30080), (plan.cluster_ip, 80), (plan.ingress_ip, 81)]
    for service in cluster.services.values():
        addresses = (*service.cluster_ips, *service.external_ips, *service.ingress_ips)
        places += [
            (address, port.port)
            for address in of_family(addresses, on_node.family)
            for port in service.ports
        ]
    destination, port = draw(st.sampled_from(places))
    sources = [plan.local_pod, plan.remote_pod, plan.node_ip, plan.ingress_ip, plan.loopback]
    return Packet(
        protocol=draw(st.sampled_from(["tcp", "udp", "sctp"])),
        source=draw(st.sampled_from(sources)),
        destination=destination,
        destination_port=port,
        in_interface=draw(st.sampled_from(["cni0", "veth1", "eth0"])),
        is_from_this_node=draw(st.booleans()),
    )


def _paths(cluster: Cluster, on_node: FamilyContext, packet: Packet) -> tuple[Path, ...]:
    plan = IPV6 if on_node.family is IPV6.family else IPV4
    rules = desired_rule_set(build(cluster.states(), on_node))
    return Tracer(rules, (plan.loopback_network, plan.host(plan.node_ip))).paths(packet)


@given(clusters(), contexts(), st.data())
def test_odds_add_up(cluster: Cluster, on_node: FamilyContext, data: st.DataObject) -> None:
    """Whatever is remembered of the client, something becomes of its packet, once."""
    packet = data.draw(_packets(cluster, on_node))
    paths = _paths(cluster, on_node, packet)

    odds = Trace(packet, paths).odds()
    assert odds
    for outcomes in odds.values():
        assert sum(outcomes.values()) == Fraction(1)


@given(clusters(), contexts(), st.data())
def test_endpoints_share_evenly(
    cluster: Cluster, on_node: FamilyContext, data: st.DataObject
) -> None:
    """The endpoints that chance decides between have the same odds, to seven digits."""
    packet = data.draw(_packets(cluster, on_node))
    for outcomes in Trace(packet, _paths(cluster, on_node, packet)).odds().values():
        assert all(abs(odds * len(outcomes) - 1) < Fraction(1, 10**7) for odds in outcomes.values())


@given(clusters(), contexts(), st.data())
def test_every_endpoint_is_reached_or_its_absence_explained(
    cluster: Cluster, on_node: FamilyContext, data: st.DataObject
) -> None:
    """Of the service port that serves a packet no endpoint is left out without a word."""
    packet = data.draw(_packets(cluster, on_node))
    states = cluster.states()
    paths = _paths(cluster, on_node, packet)
    absent = absences(paths, states, on_node)
    reached = {path.outcome.destination for path in paths if path.outcome.is_translated}

    assert Reason.NOT_IN_RULES not in {absence.reason for absence in absent}
    assert not reached & {absence.endpoint for absence in absent}
    for key, (service, slices) in states.items():
        for port in service.ports:
            known = {endpoint.text for endpoint in endpoints_of_port(port, slices, on_node)}
            name = f"{key}:{port.name}" if port.name else str(key)
            told = {absence.endpoint for absence in absent if absence.service_port == name}
            assert told <= known
            if told:
                assert known <= told | reached


@given(clusters(), contexts(), st.data())
def test_what_is_refused_has_a_reason_of_ours(
    cluster: Cluster, on_node: FamilyContext, data: st.DataObject
) -> None:
    """The desired rules refuse nothing but by a policy, and serve nobody they refuse."""
    packet = data.draw(_packets(cluster, on_node))
    for path in _paths(cluster, on_node, packet):
        refusal = path.outcome.refusal
        assert (refusal is None) is (path.outcome.fate in _SERVED)
        if refusal:
            assert refusal.policy not in (Policy.OTHER_RULE, Policy.CHAIN_POLICY)


@given(clusters(), contexts(), st.data())
def test_steps_stand_where_they_are_said_to(
    cluster: Cluster, on_node: FamilyContext, data: st.DataObject
) -> None:
    """Each rule that is met is the one of that number in that chain."""
    packet = data.draw(_packets(cluster, on_node))
    rules = desired_rule_set(build(cluster.states(), on_node))
    for path in _paths(cluster, on_node, packet):
        for step in path.steps:
            assert rules[step.table][step.chain].rules[step.number - 1] == step.rule
        if not path.outcome.is_translated:
            text = endpoint_text(packet.destination, packet.destination_port)
            assert path.outcome.destination == text
            assert not any(
                step.chain.startswith("KUBE-SEP-")
                for step in path.steps
                if step.table is TableName.NAT
            )
