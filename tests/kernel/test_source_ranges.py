# SPDX-License-Identifier: Apache-2.0
"""loadBalancerSourceRanges: who gets through to an ingress IP, and who hears nothing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lab import NodeLab, TimedOut
from lab.plan import CLIENT, OTHER_CLIENT
from rules.model import ServiceState, ServiceType, TrafficPolicy
from tests.address_plan import AddressPlan, other_family
from tests.builders import NODE_PORT, local, service_port, state
from tests.kernel.node import KernelNode, in_both_layouts
from tests.kernel.traffic import LOCAL, answer, if_dropped, of, tcp

pytestmark = [in_both_layouts, pytest.mark.usefixtures("owner_of_virtual_addresses")]


@pytest.fixture
def vip_on_the_node(machines: NodeLab, plan: AddressPlan) -> Iterator[None]:
    """The node has the ingress IP as an address of its own, and asks itself from there."""
    machines.node.ip(f"address add {plan.host(plan.ingress_ip)} dev lo nodad")
    yield
    machines.node.ip(f"address del {plan.host(plan.ingress_ip)} dev lo")


def _firewalled(
    plan: AddressPlan, *ranges: str, policy: TrafficPolicy = TrafficPolicy.CLUSTER
) -> ServiceState:
    return state(
        plan,
        local(plan.local_pod),
        type=ServiceType.LOAD_BALANCER,
        ports=(service_port(node_port=NODE_PORT),),
        external_ips=(plan.external_ip,),
        ingress_ips=(plan.ingress_ip,),
        source_ranges=ranges,
        external_traffic_policy=policy,
    )


@pytest.mark.parametrize("policy", TrafficPolicy)
def test_the_ranges_decide(
    node: KernelNode, machines: NodeLab, plan: AddressPlan, policy: TrafficPolicy
) -> None:
    """A client inside the ranges is answered; one outside is dropped, not refused."""
    ranges = plan.node_network, plan.host(of(plan, CLIENT))
    node.program(plan, _firewalled(plan, *ranges, policy=policy))
    target = tcp(plan.ingress_ip)

    assert answer(machines.client, target).by == LOCAL.name
    assert if_dropped(machines.client, target, source=of(plan, OTHER_CLIENT)) == TimedOut()


def test_other_ways_to_the_service_stay_open(
    node: KernelNode, machines: NodeLab, plan: AddressPlan
) -> None:
    """The ranges are about ingress IPs: external IP, node port and cluster IP serve everybody."""
    node.program(plan, _firewalled(plan, plan.host(of(plan, CLIENT))))

    for target in (tcp(plan.external_ip), tcp(plan.node_ip, NODE_PORT), tcp(plan.cluster_ip)):
        assert answer(machines.client, target, source=of(plan, OTHER_CLIENT)).by == LOCAL.name


def test_pods_need_a_range_too(node: KernelNode, machines: NodeLab, plan: AddressPlan) -> None:
    """A pod outside the ranges gets nothing; with the pods' network among them it is answered."""
    pod, target = machines.pods[LOCAL.name], tcp(plan.ingress_ip)
    node.program(plan, _firewalled(plan, plan.node_network))
    assert if_dropped(pod, target) == TimedOut()

    node.program(plan, _firewalled(plan, plan.node_network, plan.cluster_cidr))

    assert answer(pod, target).by == LOCAL.name


def test_the_node_needs_a_range_too(node: KernelNode, machines: NodeLab, plan: AddressPlan) -> None:
    """A process on the node gets nothing unless a range holds the node's own address."""
    target = tcp(plan.ingress_ip)
    node.program(plan, _firewalled(plan, plan.host(of(plan, CLIENT))))
    assert if_dropped(machines.node, target, source=plan.node_ip) == TimedOut()

    node.program(plan, _firewalled(plan, plan.host(plan.node_ip)))

    assert answer(machines.node, target, source=plan.node_ip).by == LOCAL.name


@pytest.mark.usefixtures("vip_on_the_node")
@pytest.mark.parametrize("policy", TrafficPolicy)
def test_the_node_reaches_its_own_vip(
    node: KernelNode, machines: NodeLab, plan: AddressPlan, policy: TrafficPolicy
) -> None:
    """A range that holds the node admits it, though its packets carry the VIP as source."""
    target = tcp(plan.ingress_ip)
    node.program(plan, _firewalled(plan, plan.host(of(plan, CLIENT)), policy=policy))
    assert if_dropped(machines.node, target) == TimedOut()

    node.program(plan, _firewalled(plan, plan.node_network, policy=policy))

    assert answer(machines.node, target).by == LOCAL.name


def test_everywhere_is_no_restriction(
    node: KernelNode, machines: NodeLab, plan: AddressPlan
) -> None:
    """A range of /0 admits everybody, whatever stands beside it."""
    node.program(plan, _firewalled(plan, plan.host(of(plan, CLIENT)), plan.everywhere))

    outcome = answer(machines.client, tcp(plan.ingress_ip), source=of(plan, OTHER_CLIENT))

    assert outcome.by == LOCAL.name


def test_ranges_of_the_other_family_alone_leave_this_one_open(
    node: KernelNode, machines: NodeLab, plan: AddressPlan
) -> None:
    """If no range is of this family, its clients are answered and the report names the service."""
    firewalled = _firewalled(plan, other_family(plan).client_network)
    report = node.program(plan, firewalled)

    assert answer(machines.client, tcp(plan.ingress_ip)).by == LOCAL.name
    assert report.findings.ranges_of_other_family_only == {firewalled.service.key}


def test_strict_ranges_close_the_family_they_do_not_name(
    node: KernelNode, machines: NodeLab, plan: AddressPlan
) -> None:
    """With strict source ranges a family that no range is of gets nothing."""
    node.program(
        plan, _firewalled(plan, other_family(plan).client_network), strict_source_ranges=True
    )

    assert if_dropped(machines.client, tcp(plan.ingress_ip)) == TimedOut()
