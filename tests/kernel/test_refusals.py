# SPDX-License-Identifier: Apache-2.0
"""Packets to services that no endpoint can serve: refused, or dropped if only a policy forbids."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import pytest

from lab import NodeLab, Refused, Target, TimedOut, probe
from lab.plan import NODE
from rules.model import ServiceType, TrafficPolicy
from tests.address_plan import AddressPlan
from tests.builders import NODE_PORT, ServiceFields, remote, service_port, state
from tests.kernel.node import KernelNode, in_both_layouts
from tests.kernel.traffic import LOCAL, at_once, if_dropped, tcp, udp

pytestmark = in_both_layouts


_Address = Callable[[AddressPlan], Target]

_UDP: Final = service_port(protocol="udp", node_port=NODE_PORT)
_WAYS_IN: Final[Mapping[str, _Address]] = {
    "external IP": lambda plan: udp(plan.external_ip),
    "ingress IP": lambda plan: udp(plan.ingress_ip),
    "node port": lambda plan: udp(plan.node_ip, NODE_PORT),
}

pytestmark = pytest.mark.usefixtures("owner_of_virtual_addresses")


@pytest.fixture(scope="module", autouse=True)
def _process_on_the_node_port(machines: NodeLab) -> None:
    """Something else on the node that must not answer in the service's place."""
    machines.lab.serve(machines.node, NODE_PORT, addresses=[NODE.ipv4, NODE.ipv6])


def _load_balancer(
    plan: AddressPlan, policy: TrafficPolicy = TrafficPolicy.CLUSTER
) -> ServiceFields:
    return ServiceFields(
        type=ServiceType.LOAD_BALANCER,
        ports=(_UDP,),
        external_ips=(plan.external_ip,),
        ingress_ips=(plan.ingress_ip,),
        external_traffic_policy=policy,
    )


def test_a_cluster_ip_without_endpoints_refuses_at_once(
    node: KernelNode, machines: NodeLab, plan: AddressPlan
) -> None:
    """Clients and pods learn at once that nobody serves the cluster IP."""
    node.program(plan, state(plan, ports=(_UDP,)))

    for host in (machines.client, machines.pods[LOCAL.name]):
        assert at_once(host, udp(plan.cluster_ip)) == Refused(), host.name


def test_a_tcp_connection_without_endpoints_is_refused(
    node: KernelNode, machines: NodeLab, plan: AddressPlan
) -> None:
    """A connection of a client or the node to an unserved cluster IP fails and does not hang."""
    node.program(plan, state(plan))

    for host in (machines.client, machines.node):
        assert probe(host, tcp(plan.cluster_ip)) == Refused(), host.name


@pytest.mark.parametrize("way_in", _WAYS_IN)
def test_every_way_in_without_endpoints_refuses_at_once(
    node: KernelNode, machines: NodeLab, plan: AddressPlan, way_in: str
) -> None:
    """A client of the external IP, the ingress IP or the node port is refused at once."""
    node.program(plan, state(plan, **_load_balancer(plan)))

    assert at_once(machines.client, _WAYS_IN[way_in](plan)) == Refused()


@pytest.mark.parametrize("way_in", _WAYS_IN)
def test_policy_local_drops_what_only_other_nodes_could_serve(
    node: KernelNode, machines: NodeLab, plan: AddressPlan, way_in: str
) -> None:
    """With externalTrafficPolicy Local and no local endpoint a client hears nothing."""
    fields = _load_balancer(plan, TrafficPolicy.LOCAL)
    node.program(plan, state(plan, remote(plan.remote_pod), **fields))

    assert if_dropped(machines.client, _WAYS_IN[way_in](plan)) == TimedOut()


def test_internal_policy_local_drops_what_only_other_nodes_could_serve(
    node: KernelNode, machines: NodeLab, plan: AddressPlan
) -> None:
    """With internalTrafficPolicy Local and no local endpoint a pod hears nothing."""
    node.program(
        plan,
        state(plan, remote(plan.remote_pod), internal_traffic_policy=TrafficPolicy.LOCAL),
    )

    assert if_dropped(machines.pods[LOCAL.name], tcp(plan.cluster_ip)) == TimedOut()


def test_internal_policy_local_without_any_endpoint_refuses(
    node: KernelNode, machines: NodeLab, plan: AddressPlan
) -> None:
    """With internalTrafficPolicy Local and no endpoint anywhere a pod is refused at once."""
    node.program(plan, state(plan, internal_traffic_policy=TrafficPolicy.LOCAL, ports=(_UDP,)))

    assert at_once(machines.pods[LOCAL.name], udp(plan.cluster_ip)) == Refused()
