# SPDX-License-Identifier: Apache-2.0
"""The filter table's rules: refusing what no endpoint can serve, accepting health checks.

A service port that nobody can serve is rejected, so that clients learn it at once. If only its
policy keeps it from this node's clients, their packets are dropped instead: a load balancer that
has not yet noticed should try another node, and a refused client would not.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from rules.addresses import host_network
from rules.ir import ACCEPT, DROP, AddressType, Comment, PortMatch, Reject, Rule, Target
from rules.service_port import ServicePortPlan

NO_ENDPOINTS: Final = " has no endpoints"
NO_LOCAL_ENDPOINTS: Final = " has no local endpoints"
"""After the service port name, in the comments of the rules that refuse."""

_TO_THIS_NODE = AddressType(destination_local=True)


def unserved_internal_rules(plan: ServicePortPlan) -> Iterator[Rule]:
    """Rules of filter's KUBE-SERVICES: cluster IPs without internal endpoints."""
    if plan.has_internal_endpoints:
        return
    target, comment = _refusal(plan)
    for address in plan.cluster_ips:
        yield _refuse_vip(plan, address, target, comment)


def unserved_external_rules(plan: ServicePortPlan) -> Iterator[Rule]:
    """Rules of KUBE-EXTERNAL-SERVICES: everything else without external endpoints."""
    if plan.has_external_endpoints:
        return
    target, comment = _refusal(plan)
    for address in (*plan.external_ips, *plan.ingress_ips):
        yield _refuse_vip(plan, address, target, comment)
    if plan.node_port:
        yield Rule(
            target,
            (comment, _TO_THIS_NODE, PortMatch(plan.protocol, plan.node_port)),
            plan.protocol,
        )


def health_check_rules(plan: ServicePortPlan) -> Iterator[Rule]:
    """Rules of filter's KUBE-NODEPORTS: let the load balancer's health checks in."""
    if plan.health_check_node_port:
        comment = Comment(f"{plan.name} health check node port")
        yield Rule(ACCEPT, (comment, PortMatch("tcp", plan.health_check_node_port)), "tcp")


def _refusal(plan: ServicePortPlan) -> tuple[Target, Comment]:
    if plan.endpoints.exist_anywhere:
        return DROP, Comment(plan.name + NO_LOCAL_ENDPOINTS)
    return Reject(), Comment(plan.name + NO_ENDPOINTS)


def _refuse_vip(plan: ServicePortPlan, address: str, target: Target, comment: Comment) -> Rule:
    return Rule(
        target, (comment, plan.port_match), plan.protocol, destination=host_network(address)
    )
