# SPDX-License-Identifier: Apache-2.0
"""The rules in nat's shared chains by which packets find a service port."""

from __future__ import annotations

from collections.abc import Iterator

from rules.addresses import host_network
from rules.ir import Comment, PortMatch, Rule
from rules.service_port import ServicePortPlan


def services_rules(plan: ServicePortPlan) -> Iterator[Rule]:
    """Rules of KUBE-SERVICES: cluster IPs, external IPs, ingress IPs."""
    if plan.has_internal_endpoints:
        for address in plan.cluster_ips:
            yield _to_vip(plan, address, plan.cluster_ip_comment, plan.internal_chain)
    if plan.endpoints.exist_anywhere:
        for address in plan.external_ips:
            comment = Comment(f"{plan.name} external IP")
            yield _to_vip(plan, address, comment, plan.external_chain)
        for address in plan.ingress_ips:
            comment = Comment(f"{plan.name} loadbalancer IP")
            yield _to_vip(plan, address, comment, plan.load_balancer_chain)


def node_port_rules(plan: ServicePortPlan) -> Iterator[Rule]:
    """Rules of KUBE-NODEPORTS."""
    if plan.node_port and plan.endpoints.exist_anywhere:
        yield Rule(
            plan.external_chain,
            (Comment(plan.name), PortMatch(plan.protocol, plan.node_port)),
            plan.protocol,
        )


def _to_vip(plan: ServicePortPlan, address: str, comment: Comment, chain: str) -> Rule:
    return Rule(chain, (comment, plan.port_match), plan.protocol, destination=host_network(address))
