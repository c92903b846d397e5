# SPDX-License-Identifier: Apache-2.0
"""The chains that choose an endpoint (KUBE-SVC, KUBE-SVL) and the endpoints' own (KUBE-SEP)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache

from rules import names
from rules.addresses import host_network
from rules.context import FamilyContext
from rules.endpoints import Endpoint
from rules.ir import Comment, Dnat, Match, PortMatch, Recent, Rule, Rules, Statistic
from rules.service_port import ServicePortPlan

_FRACTION_ONE = 1 << 31
_PROBABILITY_DIGITS = 10


def policy_chains(plan: ServicePortPlan, context: FamilyContext) -> Iterator[tuple[str, Rules]]:
    """The policy chains in use and the chains of their endpoints, each with its name."""
    in_use = [
        (chain, endpoints)
        for is_used, chain, endpoints in (
            (plan.uses_cluster_chain, plan.cluster_chain, plan.endpoints.cluster),
            (plan.uses_local_chain, plan.local_chain, plan.endpoints.local),
        )
        if is_used
    ]
    chain_of: dict[str, str] = {}
    endpoint_of: dict[str, Endpoint] = {}
    for chain, endpoints in in_use:
        for endpoint in endpoints:
            text = endpoint.text
            if text not in chain_of:
                chain_of[text] = names.endpoint_chain(plan.name, plan.protocol, text)
                endpoint_of[chain_of[text]] = endpoint
        yield (
            chain,
            (
                *(_masquerade_rules(plan, context) if chain == plan.internal_chain else ()),
                *_choice_rules(plan, [(chain_of[text], text) for text, *_ in endpoints]),
            ),
        )
    yield from _endpoint_chains(plan, endpoint_of)


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


def _choice_rules(plan: ServicePortPlan, endpoints: Sequence[tuple[str, str]]) -> Iterator[Rule]:
    """Send each client to the endpoint that it had, else to one at random with equal odds.

    Endpoints are given by their chain and their text.
    """
    prefix = f"{plan.name} -> "
    jumps = [(chain, Comment(prefix + text)) for chain, text in endpoints]
    if plan.affinity_seconds is not None:
        for chain, comment in jumps:
            yield Rule(chain, (comment, Recent(chain, plan.affinity_seconds)))
    remaining = len(jumps)
    for chain, comment in jumps:
        yield Rule(chain, (comment, _one_in(remaining)) if remaining > 1 else (comment,))
        remaining -= 1


@cache
def _one_in(count: int) -> Statistic:
    """Odds of 1/``count``: rounded as kube-proxy prints them, then as iptables scales them.

    Source: iptables ``libxt_statistic.c``, which stores ``lround(2**31 * probability)``.
    """
    probability = round(1 / count, _PROBABILITY_DIGITS)
    return Statistic(int(probability * _FRACTION_ONE + 0.5))


def _endpoint_chains(
    plan: ServicePortPlan, endpoint_of: Mapping[str, Endpoint]
) -> Iterator[tuple[str, Rules]]:
    """Masquerade an endpoint's traffic to itself (hairpin), remember the client, translate."""
    comment = Comment(plan.name)
    protocol_match = PortMatch(plan.protocol)
    hairpin_matches = (comment,)
    matches: tuple[Match, ...] = (comment, protocol_match)
    for chain, endpoint in endpoint_of.items():
        if plan.affinity_seconds is not None:
            matches = (comment, Recent(chain), protocol_match)
        yield (
            chain,
            (
                Rule(names.MARK_MASQ, hairpin_matches, "", host_network(endpoint.address)),
                Rule(Dnat(endpoint.address, endpoint.port), matches, plan.protocol),
            ),
        )
