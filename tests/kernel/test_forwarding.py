# SPDX-License-Identifier: Apache-2.0
"""Nodes whose own firewall drops by default: what the filter table lets through all the same."""

from __future__ import annotations

from typing import Final

from lab import NodeLab, TimedOut
from rules.model import ServiceType, TrafficPolicy
from tests.address_plan import AddressPlan
from tests.builders import local, service_port, state
from tests.kernel.node import KernelNode
from tests.kernel.traffic import LOCAL, answer, if_dropped, tcp

_HEALTH_CHECK_PORT: Final = 32123
_OTHER_PORT: Final = 32124


def test_service_traffic_is_forwarded(
    node: KernelNode, machines: NodeLab, plan: AddressPlan
) -> None:
    """Where FORWARD drops by default, clients reach pods by the service, and only by it."""
    node.program(plan, state(plan, local(plan.local_pod)))
    node.iptables(plan, "-P", "FORWARD", "DROP")

    assert answer(machines.client, tcp(plan.cluster_ip)).by == LOCAL.name
    assert if_dropped(machines.client, tcp(plan.local_pod)) == TimedOut()


def test_health_checks_are_let_in(node: KernelNode, machines: NodeLab, plan: AddressPlan) -> None:
    """Where INPUT drops by default, the service's health-check port is open and no other."""
    for port in (_HEALTH_CHECK_PORT, _OTHER_PORT):
        machines.lab.serve(machines.node, port, addresses=[plan.node_ip])
    node.iptables(plan, "-P", "INPUT", "DROP")
    # Without neighbour discovery nobody finds the node at all.
    node.iptables(plan, "-A", "INPUT", "!", "-p", "tcp", "-j", "ACCEPT")
    health_checked = state(
        plan,
        local(plan.local_pod),
        type=ServiceType.LOAD_BALANCER,
        ports=(service_port(node_port=30001),),
        ingress_ips=(plan.ingress_ip,),
        external_traffic_policy=TrafficPolicy.LOCAL,
        health_check_node_port=_HEALTH_CHECK_PORT,
    )

    node.program(plan, health_checked)

    assert answer(machines.client, tcp(plan.node_ip, _HEALTH_CHECK_PORT)).by == "node"
    assert if_dropped(machines.client, tcp(plan.node_ip, _OTHER_PORT)) == TimedOut()
