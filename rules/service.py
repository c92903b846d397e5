# SPDX-License-Identifier: Apache-2.0
"""All rules of one Service in one family."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from rules.affinity import AffinityBackend, client_sets
from rules.context import FamilyContext
from rules.entry_rules import node_port_rules, services_rules
from rules.external_chains import external_chains
from rules.ir import ClientSet, Rule, Rules
from rules.model import ObjectKey, Service, ServiceState
from rules.policy_chains import policy_chains
from rules.rejects import health_check_rules, unserved_external_rules, unserved_internal_rules
from rules.service_port import for_family, plan_port


class Unserved(NamedTuple):
    """How many service ports have endpoints, but none here that policy Local allows."""

    internal: int = 0
    external: int = 0


ALL_SERVED = Unserved()


@dataclass(frozen=True, slots=True)
class ServiceRules:
    """What one Service adds to the tables of one family."""

    chains: Mapping[str, Rules]
    """Chains of nat that are this Service's alone."""
    nat_services: Rules
    nat_node_ports: Rules
    filter_services: Rules
    filter_external_services: Rules
    filter_node_ports: Rules
    ranges_of_other_family_only: bool = False
    """Whether loadBalancerSourceRanges are named and none says anything about this family."""
    unserved: Unserved = ALL_SERVED
    client_sets: tuple[ClientSet, ...] = ()


ServicesRules = Mapping[ObjectKey, ServiceRules]


class Findings(NamedTuple):
    """What operators should know of all Services in one family."""

    ranges_of_other_family_only: frozenset[ObjectKey] = frozenset()
    """Services whose loadBalancerSourceRanges say nothing about this family."""
    unserved: Unserved = ALL_SERVED


NO_FINDINGS = Findings()


def findings(services: ServicesRules) -> Findings:
    """What there is to be known of ``services``."""
    return Findings(
        frozenset(key for key, rules in services.items() if rules.ranges_of_other_family_only),
        Unserved(
            sum(rules.unserved.internal for rules in services.values()),
            sum(rules.unserved.external for rules in services.values()),
        ),
    )


NO_RULES = ServiceRules({}, (), (), (), (), ())


def build_service(state: ServiceState, context: FamilyContext) -> ServiceRules:
    """The rules of a Service with its slices; none if this agent does not serve it."""
    if not state.service.is_proxied:
        return NO_RULES
    service = for_family(state.service, context.family)
    if not service.cluster_ips:
        return NO_RULES
    chains: dict[str, Rules] = {}
    nat_services: list[Rule] = []
    nat_node_ports: list[Rule] = []
    filter_services: list[Rule] = []
    filter_external_services: list[Rule] = []
    filter_node_ports: list[Rule] = []
    ranges_of_other_family_only = False
    unserved_internally = unserved_externally = 0
    for port in sorted(service.ports):
        plan = plan_port(service, port, state.slices, context)
        nat_services += services_rules(plan)
        nat_node_ports += node_port_rules(plan)
        chains.update(external_chains(plan, context))
        chains.update(policy_chains(plan, context))
        filter_services += unserved_internal_rules(plan)
        filter_external_services += unserved_external_rules(plan)
        filter_node_ports += health_check_rules(plan)
        if plan.endpoints.exist_anywhere:
            unserved_internally += not plan.has_internal_endpoints
            unserved_externally += plan.uses_external_chain and not plan.has_external_endpoints
        ranges_of_other_family_only |= bool(plan.ingress_ips) and plan.admission.other_family_only
    return ServiceRules(
        chains,
        tuple(nat_services),
        tuple(nat_node_ports),
        tuple(filter_services),
        tuple(filter_external_services),
        tuple(filter_node_ports),
        ranges_of_other_family_only,
        Unserved(unserved_internally, unserved_externally),
        _client_sets(service, chains, context),
    )


def _client_sets(
    service: Service, chains: Iterable[str], context: FamilyContext
) -> tuple[ClientSet, ...]:
    if service.affinity_seconds is None or context.affinity_backend is not AffinityBackend.IPSET:
        return ()
    return client_sets(chains, service.affinity_seconds)
