# SPDX-License-Identifier: Apache-2.0
"""The chains that traffic from outside passes: KUBE-FW (ingress IPs) and KUBE-EXT (the others)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from rules import names
from rules.addresses import host_network
from rules.context import FamilyContext
from rules.ir import AddressType, Comment, Rule, Rules
from rules.model import TrafficPolicy
from rules.service_port import ServicePortPlan

INGRESS_IP: Final = " loadbalancer IP"
"""After the service port name, in the comments of the load-balancer chain's rules."""

_FROM_THIS_NODE = AddressType(source_local=True)


def external_chains(plan: ServicePortPlan, context: FamilyContext) -> Iterator[tuple[str, Rules]]:
    """The external chain and the load-balancer chain, each if it is in use, with its name."""
    if plan.uses_external_chain:
        yield plan.external_chain, tuple(_external_rules(plan, context))
    if plan.uses_load_balancer_chain:
        yield plan.load_balancer_chain, tuple(_load_balancer_rules(plan))


def _external_rules(plan: ServicePortPlan, context: FamilyContext) -> Iterator[Rule]:
    if plan.external_policy is TrafficPolicy.CLUSTER:
        # The endpoint may be on another node, whose reply would not come back this way.
        comment = Comment(f"masquerade traffic for {plan.name} external destinations")
        yield Rule(names.MARK_MASQ, (comment,))
    else:
        yield from _short_circuit_rules(plan, context)
    if plan.has_external_endpoints:
        yield Rule(plan.external_policy_chain)


def _short_circuit_rules(plan: ServicePortPlan, context: FamilyContext) -> Iterator[Rule]:
    """Let pods and this node itself reach all endpoints, as if they went by the load balancer."""
    detector = context.local_detector
    if detector is not None:
        yield Rule(
            plan.cluster_chain,
            (Comment(f"pod traffic for {plan.name} external destinations"),),
            source=detector.source,
            in_interface=detector.in_interface,
        )
    masquerade = Comment(f"masquerade LOCAL traffic for {plan.name} external destinations")
    yield Rule(names.MARK_MASQ, (masquerade, _FROM_THIS_NODE))
    route = Comment(f"route LOCAL traffic for {plan.name} external destinations")
    yield Rule(plan.cluster_chain, (route, _FROM_THIS_NODE))


def _load_balancer_rules(plan: ServicePortPlan) -> Iterator[Rule]:
    """Let the admitted sources pass; what comes back or never passed is marked for dropping."""
    comment = (Comment(plan.name + INGRESS_IP),)
    admission = plan.admission
    if plan.external_policy is TrafficPolicy.CLUSTER:
        next_chain = plan.cluster_chain
        if not admission.nobody:
            yield Rule(names.MARK_MASQ, comment)
    else:
        next_chain = plan.external_chain
    if admission.everybody:
        yield Rule(next_chain, comment)
    for network in admission.networks:
        yield Rule(next_chain, comment, source=network)
    if admission.node_itself:
        for ingress_ip in plan.ingress_ips:
            yield Rule(next_chain, comment, source=host_network(ingress_ip))
    yield Rule(names.MARK_DROP, comment)
