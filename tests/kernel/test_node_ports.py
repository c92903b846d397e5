# SPDX-License-Identifier: Apache-2.0
"""Packets to node ports: on which addresses they are served, and whom the endpoint sees."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lab import NodeLab, Protocol, Refused, Target, TimedOut
from lab.plan import GATEWAY, NODE
from rules.ir import TableName
from rules.model import ServiceState, ServiceType, TrafficPolicy
from rules.names import KUBELET_FIREWALL
from tests.address_plan import IPV4, IPV6, AddressPlan
from tests.builders import NODE_PORT, local, service_port, state
from tests.kernel.node import KernelNode, in_both_layouts
from tests.kernel.traffic import LOCAL, REMOTE, answer, at_once, if_dropped, of, tcp

_ROUTE_LOCALNET = "net.ipv4.conf.all.route_localnet"


@pytest.fixture
def routed_loopback(machines: NodeLab) -> Iterator[None]:
    """Let the node translate 127.0.0.0/8, as the agent does after its first sync."""
    machines.node.set_sysctl(_ROUTE_LOCALNET, "1")
    yield
    machines.node.set_sysctl(_ROUTE_LOCALNET, "0")


def _node_port_service(
    plan: AddressPlan,
    address: str,
    *,
    protocol: str = "tcp",
    policy: TrafficPolicy = TrafficPolicy.CLUSTER,
) -> ServiceState:
    port = service_port(protocol=protocol, node_port=NODE_PORT)
    kind = ServiceType.NODE_PORT
    return state(plan, local(address), type=kind, ports=(port,), external_traffic_policy=policy)


@in_both_layouts
@pytest.mark.parametrize("protocol", Protocol)
def test_everybody_reaches_a_node_port(
    node: KernelNode, machines: NodeLab, plan: AddressPlan, protocol: Protocol
) -> None:
    """A client, a pod and the node are answered; the endpoint sees the node in their place."""
    node.program(plan, _node_port_service(plan, plan.remote_pod, protocol=protocol.name.lower()))
    target = Target(plan.node_ip, NODE_PORT, protocol)

    for host in (machines.client, machines.pods[LOCAL.name], machines.node):
        outcome = answer(host, target)
        assert (outcome.by, outcome.source) == (REMOTE.name, of(plan, NODE)), host.name


def test_every_address_of_the_node_serves_node_ports(
    node: KernelNode, machines: NodeLab, plan: AddressPlan
) -> None:
    """Without restriction the address that pods know as their gateway serves node ports too."""
    node.program(plan, _node_port_service(plan, plan.remote_pod))

    target = tcp(of(plan, GATEWAY), NODE_PORT)

    assert answer(machines.pods[LOCAL.name], target).by == REMOTE.name


def test_restricted_node_ports(node: KernelNode, machines: NodeLab, plan: AddressPlan) -> None:
    """Node ports are served on the addresses named and on no others."""
    node.program(
        plan,
        _node_port_service(plan, plan.remote_pod),
        node_port_addresses=(plan.node_ip,),
        restrict_node_ports=True,
    )
    pod = machines.pods[LOCAL.name]

    assert answer(machines.client, tcp(plan.node_ip, NODE_PORT)).by == REMOTE.name
    assert answer(pod, tcp(plan.node_ip, NODE_PORT)).by == REMOTE.name
    assert at_once(pod, tcp(of(plan, GATEWAY), NODE_PORT)) == Refused()


def test_a_node_port_is_not_served_on_virtual_addresses(
    node: KernelNode, machines: NodeLab, plan: AddressPlan
) -> None:
    """The cluster IP has no node port."""
    node.program(plan, _node_port_service(plan, plan.local_pod))

    outcome = if_dropped(machines.client, tcp(plan.cluster_ip, NODE_PORT))

    assert outcome == TimedOut()


@in_both_layouts
@pytest.mark.usefixtures("routed_loopback")
@pytest.mark.parametrize("policy", TrafficPolicy)
@pytest.mark.parametrize("pod", [IPV4.local_pod, IPV4.remote_pod])
def test_localhost_serves_node_ports(
    node: KernelNode, machines: NodeLab, pod: str, policy: TrafficPolicy
) -> None:
    """On the node itself 127.0.0.1 leads to the endpoint, wherever it is, under both policies."""
    node.program(IPV4, _node_port_service(IPV4, pod, policy=policy))

    outcome = answer(machines.node, tcp("127.0.0.1", NODE_PORT))

    expected = GATEWAY.ipv4 if pod == IPV4.local_pod else NODE.ipv4
    assert outcome.source == expected


@pytest.mark.usefixtures("routed_loopback")
def test_localhost_node_ports_can_be_switched_off(node: KernelNode, machines: NodeLab) -> None:
    """Switched off, 127.0.0.1 is nobody's and the node's own address serves as before."""
    node.program(IPV4, _node_port_service(IPV4, IPV4.local_pod), localhost_node_ports=False)

    assert at_once(machines.node, tcp("127.0.0.1", NODE_PORT)) == Refused()
    assert answer(machines.node, tcp(IPV4.node_ip, NODE_PORT)).by == LOCAL.name


def test_ipv6_has_no_localhost_node_ports(node: KernelNode, machines: NodeLab) -> None:
    """The address ::1 never serves node ports: it cannot be routed."""
    node.program(IPV6, _node_port_service(IPV6, IPV6.local_pod))

    assert at_once(machines.node, tcp("::1", NODE_PORT)) == Refused()


@pytest.mark.usefixtures("routed_loopback")
def test_loopback_stays_closed_to_the_network(node: KernelNode, machines: NodeLab) -> None:
    """A pod that sends to 127.0.0.9 on the wire meets a closed door (CVE-2020-8558)."""
    address, port = "127.0.0.9", 4194
    machines.lab.serve(machines.node, port, addresses=[address])
    pod = machines.pods["local-2"]
    # A neighbour that sends what its own kernel would rightly keep for itself.
    pod.set_sysctl(_ROUTE_LOCALNET, "1")
    pod.ip(
        "route del local 127.0.0.0/8 dev lo table local",
        f"route add {address} via {GATEWAY.ipv4} src {IPV4.other_local_pod}",
    )
    target = tcp(address, port)
    assert answer(pod, target).by == "node"

    node.program(IPV4)

    assert if_dropped(pod, target) == TimedOut()
    assert node.packets(IPV4, TableName.FILTER, KUBELET_FIREWALL) != [0]
    assert answer(machines.node, target).by == "node"
