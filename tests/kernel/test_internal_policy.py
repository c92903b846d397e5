# SPDX-License-Identifier: Apache-2.0
"""Packets to cluster IPs under internalTrafficPolicy Local."""

from __future__ import annotations

from typing import Final

from lab import NodeLab
from lab.plan import NODE
from rules.model import ServiceType, TrafficPolicy
from tests.address_plan import AddressPlan
from tests.builders import NODE_PORT, local, remote, service_port, state
from tests.kernel.node import KernelNode, in_both_layouts
from tests.kernel.traffic import (
    LOCAL,
    OTHER_LOCAL,
    REMOTE,
    answer,
    answers_by_pod,
    of,
    tcp,
)

pytestmark = in_both_layouts


_SOME: Final = 12


def test_only_endpoints_of_this_node_answer(
    node: KernelNode, machines: NodeLab, plan: AddressPlan
) -> None:
    """A pod and the node are answered by the one local endpoint, never by those elsewhere."""
    endpoints = (local(plan.local_pod), remote(plan.remote_pod), remote(plan.other_remote_pod))
    node.program(plan, state(plan, *endpoints, internal_traffic_policy=TrafficPolicy.LOCAL))

    for host in (machines.pods[OTHER_LOCAL.name], machines.node):
        assert answers_by_pod(_SOME, host, tcp(plan.cluster_ip)) == {LOCAL.name: _SOME}


def test_outside_traffic_is_not_bound_by_the_internal_policy(
    node: KernelNode, machines: NodeLab, plan: AddressPlan
) -> None:
    """A node port under the policy Cluster reaches an endpoint elsewhere and is masqueraded."""
    only_remote = state(
        plan,
        remote(plan.remote_pod),
        type=ServiceType.NODE_PORT,
        ports=(service_port(node_port=NODE_PORT),),
        internal_traffic_policy=TrafficPolicy.LOCAL,
    )
    node.program(plan, only_remote)

    outcome = answer(machines.client, tcp(plan.node_ip, NODE_PORT))

    assert (outcome.by, outcome.source) == (REMOTE.name, of(plan, NODE))
