# SPDX-License-Identifier: Apache-2.0
"""The chains that choose an endpoint (KUBE-SVC, KUBE-SVL) and the endpoints' own (KUBE-SEP)."""

from __future__ import annotations

from collections.abc import Iterator

from rules import names
from rules.addresses import host_network
from rules.context import FamilyContext
from rules.endpoint_groups import choice_chains
from rules.ir import Rule, Rules
from rules.model import TrafficPolicy
from rules.patterns import ChoiceRules, EndpointRules, ServicePortPattern
from rules.service_port import ServicePortPlan


def policy_chains(plan: ServicePortPlan, context: FamilyContext) -> Iterator[tuple[str, Rules]]:
    """The policy chains in use and the chains of their endpoints, each with its name."""
    shared = ServicePortPattern(
        plan.name,
        plan.protocol,
        plan.affinity_seconds,
        is_compact=context.is_large,
        affinity_backend=context.affinity_backend,
    )
    is_direct = context.is_large and _may_be_direct(plan)
    chain_of: dict[str, str] = {}
    for is_used, policy_chain, endpoints in (
        (plan.uses_cluster_chain, plan.cluster_chain, plan.endpoints.cluster),
        (plan.uses_local_chain, plan.local_chain, plan.endpoints.local),
    ):
        if not is_used:
            continue
        for text, address, port, is_local, state in endpoints:
            if is_direct and state.node_name and not is_local:
                continue
            if text not in chain_of:
                chain = names.endpoint_chain(plan.name, plan.protocol, text)
                chain_of[text] = chain
                yield chain, EndpointRules(shared, chain, address, port)
        is_internal = policy_chain == plan.internal_chain
        leading = tuple(_masquerade_rules(plan, context)) if is_internal else ()
        if context.is_large and plan.affinity_seconds is None:
            choices = [(chain_of.get(one.text, ""), one.address, one.port) for one in endpoints]
            yield from choice_chains(policy_chain, shared, leading, tuple(choices))
        else:
            by_chain = tuple([(chain_of[one.text], one.text) for one in endpoints])
            yield policy_chain, ChoiceRules(shared, leading, by_chain)


def _may_be_direct(plan: ServicePortPlan) -> bool:
    """Whether an endpoint on another node can do without a chain of its own here.

    Its chain would remember clients for session affinity, and would masquerade what it sends to
    itself. The latter is translated on its own node, whatever VIP it goes to; but not if it goes to
    a node port of this node, which with policy Local it reaches without being masqueraded.
    """
    reaches_itself = bool(plan.node_port) and plan.external_policy is TrafficPolicy.LOCAL
    return plan.affinity_seconds is None and not reaches_itself


def _masquerade_rules(plan: ServicePortPlan, context: FamilyContext) -> Iterator[Rule]:
    """Mark cluster-IP traffic whose replies would otherwise miss this node."""
    detector = context.local_detector
    if not context.masquerade_all and detector is None:
        return
    narrowed = None if context.masquerade_all else detector
    comment = () if context.is_large else (plan.cluster_ip_comment,)
    for cluster_ip in plan.cluster_ips:
        yield Rule(
            names.MARK_MASQ,
            (*comment, plan.port_match),
            protocol=plan.protocol,
            source=narrowed.source if narrowed else "",
            destination=host_network(cluster_ip),
            in_interface=narrowed.in_interface if narrowed else "",
            not_source=bool(narrowed and narrowed.source),
            not_in_interface=bool(narrowed and narrowed.in_interface),
        )
