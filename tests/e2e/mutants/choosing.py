# SPDX-License-Identifier: Apache-2.0
"""Faults by which packets go to the wrong endpoint, or to a wrong port of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from rules import endpoints, names, service, service_port
from rules.ir import AddToSet, Dnat, Match, Recent, Rule, SetMatch, Statistic, TableName
from rules.model import TrafficPolicy
from rules.service_port import ServicePortPlan
from tests.e2e.mutants.faults import (
    in_place_of,
    in_result_of,
    in_rules,
    in_several_places,
    with_matches,
    without_rules,
)
from tests.e2e.mutants.mutant import Mutant

_NAT: Final = TableName.NAT
_SERVICE_CHAINS: Final = "KUBE-SV"
"""What the names of both kinds of policy chains begin with."""
_ALWAYS: Final = Statistic(1 << 31)
_HALF: Final = Statistic(1 << 30)


def _is_lookup(match: Match) -> bool:
    return isinstance(match, SetMatch) or (isinstance(match, Recent) and match.seconds is not None)


def _always(match: Match) -> Match:
    return _ALWAYS if isinstance(match, Statistic) else match


def _always_if_half(match: Match) -> Match:
    return _ALWAYS if match == _HALF else match


def _unless_recent(match: Match) -> Match | None:
    return None if isinstance(match, Recent) else match


def _for_ever(match: Match) -> Match:
    return replace(match, seconds=10**6) if isinstance(match, Recent) and match.seconds else match


def _into_set_for_ever(rule: Rule) -> Rule:
    target = rule.target
    if isinstance(target, AddToSet):
        return rule._replace(target=replace(target, timeout_seconds=10**6))
    return rule


def _certain_if_direct(rule: Rule) -> Rule:
    return with_matches(_always)(rule) if isinstance(rule.target, Dnat) else rule


def _to_service_port(plan: ServicePortPlan) -> ServicePortPlan:
    usable = plan.endpoints
    cluster, local = (
        tuple(one._replace(port=plan.port) for one in some)
        for some in (usable.cluster, usable.local)
    )
    return plan._replace(endpoints=usable._replace(cluster=cluster, local=local))


def _all_ready(found: list[endpoints.Endpoint]) -> list[endpoints.Endpoint]:
    return [one._replace(state=one.state._replace(ready=True)) for one in found]


def _both_by_cluster_policy(usable: endpoints.UsableEndpoints) -> endpoints.UsableEndpoints:
    return usable._replace(local=usable.cluster)


def _with_fields(**fields: Any) -> Any:  # noqa: ANN401 - what a Service's fields can be
    """What gives a Service other fields."""
    return lambda service: replace(service, **fields)


CHOOSING: Final = (
    Mutant(
        "first-endpoint-always",
        "All connections go to the first endpoint.",
        in_rules(_NAT, _SERVICE_CHAINS, with_matches(_always)),
        ("cluster-ip",),
        "all of one, three, two, got one",
    ),
    Mutant(
        "last-endpoint-never",
        "The last endpoint is never chosen.",
        in_rules(_NAT, _SERVICE_CHAINS, with_matches(_always_if_half)),
        ("cluster-ip",),
        "all of one, three, two, got one",
    ),
    Mutant(
        "direct-endpoints-without-odds",
        "In a large cluster all connections go to the first endpoint on another node.",
        in_rules(_NAT, _SERVICE_CHAINS, _certain_if_direct),
        ("large-cluster",),
        "all of one, three, two, got one",
    ),
    Mutant(
        "affinity-not-looked-up",
        "Clients are remembered, but nobody looks where they were.",
        without_rules(_NAT, _SERVICE_CHAINS, lambda rule: any(map(_is_lookup, rule.matches))),
        ("session-affinity",),
        "expected the same pod",
    ),
    Mutant(
        "affinity-not-remembered",
        "Clients are looked for, but nobody remembers where they are.",
        in_several_places(
            in_rules(_NAT, names.ENDPOINT_PREFIX, with_matches(_unless_recent)),
            without_rules(
                _NAT, names.ENDPOINT_PREFIX, lambda rule: isinstance(rule.target, AddToSet)
            ),
        ),
        ("session-affinity",),
        "expected the same pod",
    ),
    Mutant(
        "affinity-without-end",
        "Clients are never forgotten, whatever the time-out is.",
        in_several_places(
            in_rules(_NAT, _SERVICE_CHAINS, with_matches(_for_ever)),
            in_rules(_NAT, names.ENDPOINT_PREFIX, _into_set_for_ever),
        ),
        ("affinity-expires",),
        "all of one, two, got one",
    ),
    Mutant(
        "service-port-as-target-port",
        "Pods are asked on the port of the Service, not on their own.",
        in_result_of(service, "plan_port", _to_service_port),
        ("cluster-ip",),
        "pod/asker to .*got Refused",
    ),
    Mutant(
        "not-ready-endpoints-used",
        "Pods are asked that are not ready.",
        in_result_of(endpoints, "endpoints_of_port", _all_ready),
        ("readiness",),
        "all of one, got one .* two",
    ),
    Mutant(
        "terminating-endpoints-unused",
        "Pods that end are not asked even if there is nobody else.",
        in_place_of(endpoints, "_serving_terminating", lambda _: []),
        ("readiness",),
        "by three, got Refused",
    ),
    Mutant(
        "hints-ignored",
        "Zone and node hints do not matter.",
        in_place_of(endpoints, "_allowed_by_topology", lambda ready, _: ready),
        ("zone-hints",),
        "all of one, two, got .*three",
    ),
    Mutant(
        "local-policy-without-place",
        "Policy Local takes endpoints of all nodes for its own.",
        in_result_of(service_port, "usable_endpoints", _both_by_cluster_policy),
        ("load-balancer-local",),
        "client to 198.*got (TimedOut|.*three)",
    ),
    Mutant(
        "external-policy-ignored",
        "externalTrafficPolicy Local means the same as Cluster.",
        in_result_of(
            service, "for_family", _with_fields(external_traffic_policy=TrafficPolicy.CLUSTER)
        ),
        ("load-balancer-local",),
        "expected the source to be kept|all of one, two, got .*three",
    ),
    Mutant(
        "internal-policy-ignored",
        "internalTrafficPolicy Local means the same as Cluster.",
        in_result_of(
            service, "for_family", _with_fields(internal_traffic_policy=TrafficPolicy.CLUSTER)
        ),
        ("internal-policy-local",),
        "all of one, got one .*, two",
    ),
)
