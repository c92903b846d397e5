# SPDX-License-Identifier: Apache-2.0
"""Packets to external IPs and load-balancer ingress IPs, under both traffic policies."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import pytest

from lab import NodeLab, Target
from lab.plan import CLIENT, NODE
from rules.model import ServiceState, ServiceType, SliceEndpoint, TrafficPolicy
from tests.address_plan import AddressPlan
from tests.builders import NODE_PORT, local, remote, service_port, state
from tests.kernel.node import KernelNode, in_both_layouts
from tests.kernel.traffic import LOCAL, REMOTE, answer, answers_by_pod, of, tcp

pytestmark = in_both_layouts


_SOME: Final = 12
_WAYS_IN: Final[Mapping[str, Callable[[AddressPlan], Target]]] = {
    "external IP": lambda plan: tcp(plan.external_ip),
    "ingress IP": lambda plan: tcp(plan.ingress_ip),
    "node port": lambda plan: tcp(plan.node_ip, NODE_PORT),
}

pytestmark = pytest.mark.parametrize("way_in", _WAYS_IN)


def _load_balancer(
    plan: AddressPlan, *endpoints: SliceEndpoint, policy: TrafficPolicy
) -> ServiceState:
    return state(
        plan,
        *endpoints,
        type=ServiceType.LOAD_BALANCER,
        ports=(service_port(node_port=NODE_PORT),),
        external_ips=(plan.external_ip,),
        ingress_ips=(plan.ingress_ip,),
        external_traffic_policy=policy,
    )


def test_policy_cluster_masquerades_everybody(
    node: KernelNode, machines: NodeLab, plan: AddressPlan, way_in: str
) -> None:
    """A client, a pod and the node reach an endpoint anywhere, which sees the node."""
    node.program(plan, _load_balancer(plan, remote(plan.remote_pod), policy=TrafficPolicy.CLUSTER))

    for host in (machines.client, machines.pods[LOCAL.name], machines.node):
        outcome = answer(host, _WAYS_IN[way_in](plan))
        assert (outcome.by, outcome.source) == (REMOTE.name, of(plan, NODE)), host.name


def test_policy_local_shows_the_client(
    node: KernelNode, machines: NodeLab, plan: AddressPlan, way_in: str
) -> None:
    """With policy Local only this node's endpoints answer a client, and they see its address."""
    endpoints = (local(plan.local_pod), remote(plan.remote_pod), remote(plan.other_remote_pod))
    node.program(plan, _load_balancer(plan, *endpoints, policy=TrafficPolicy.LOCAL))
    target, source = _WAYS_IN[way_in](plan), of(plan, CLIENT)

    assert answers_by_pod(_SOME, machines.client, target, source=source) == {LOCAL.name: _SOME}
    assert answer(machines.client, target, source=source).source == source


def test_policy_local_takes_pods_and_the_node_to_all_endpoints(
    node: KernelNode, machines: NodeLab, plan: AddressPlan, way_in: str
) -> None:
    """With policy Local a pod and the node reach endpoints of other nodes all the same.

    The endpoint sees the pod as it is, and the node under its own address.
    """
    node.program(plan, _load_balancer(plan, remote(plan.remote_pod), policy=TrafficPolicy.LOCAL))
    target = _WAYS_IN[way_in](plan)

    from_pod, from_node = answer(machines.pods[LOCAL.name], target), answer(machines.node, target)

    assert (from_pod.by, from_pod.source) == (REMOTE.name, plan.local_pod)
    assert (from_node.by, from_node.source) == (REMOTE.name, of(plan, NODE))
