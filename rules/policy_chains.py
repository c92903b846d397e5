# SPDX-License-Identifier: Apache-2.0
"""The chains that choose an endpoint (KUBE-SVC, KUBE-SVL) and the endpoints' own (KUBE-SEP)."""

from __future__ import annotations

from collections.abc import Iterator

from rules import names
from rules.addresses import host_network
from rules.context import FamilyContext
from rules.ir import Rule, Rules
from rules.patterns import ChoiceRules, EndpointRules, ServicePortPattern
from rules.service_port import ServicePortPlan


def policy_chains(plan: ServicePortPlan, context: FamilyContext) -> Iterator[tuple[str, Rules]]:
    """The policy chains in use and the chains of their endpoints, each with its name."""
    shared = ServicePortPattern(plan.name, plan.protocol, plan.affinity_seconds)
    chain_of: dict[str, str] = {}
    for is_used, policy_chain, endpoints in (
        (plan.uses_cluster_chain, plan.cluster_chain, plan.endpoints.cluster),
        (plan.uses_local_chain, plan.local_chain, plan.endpoints.local),
    ):
        if not is_used:
            continue
        for text, address, port, *_ in endpoints:
            if text not in chain_of:
                chain = names.endpoint_chain(plan.name, plan.protocol, text)
                chain_of[text] = chain
                yield chain, EndpointRules(shared, chain, address, port)
        is_internal = policy_chain == plan.internal_chain
        leading = tuple(_masquerade_rules(plan, context)) if is_internal else ()
        choices = tuple([(chain_of[endpoint.text], endpoint.text) for endpoint in endpoints])
        yield policy_chain, ChoiceRules(shared, leading, choices)


def _masquerade_rules(plan: ServicePortPlan, context: FamilyContext) -> Iterator[Rule]:
    """Mark cluster-IP traffic whose replies would otherwise miss this node."""
    detector = context.local_detector
    if not context.masquerade_all and detector is None:
        return
    narrowed = None if context.masquerade_all else detector
    for cluster_ip in plan.cluster_ips:
        yield Rule(
            names.MARK_MASQ,
            (plan.cluster_ip_comment, plan.port_match),
            protocol=plan.protocol,
            source=narrowed.source if narrowed else "",
            destination=host_network(cluster_ip),
            in_interface=narrowed.in_interface if narrowed else "",
            not_source=bool(narrowed and narrowed.source),
            not_in_interface=bool(narrowed and narrowed.in_interface),
        )
