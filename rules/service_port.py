# SPDX-License-Identifier: Apache-2.0
"""One service port of one family, with every decision about its traffic taken.

The other modules only spell these decisions out as rules.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import NamedTuple

from rules import names
from rules.addresses import of_family
from rules.context import FamilyContext
from rules.endpoints import UsableEndpoints, usable_endpoints
from rules.ir import Comment, Family, PortMatch
from rules.model import EndpointSlice, Service, ServicePort, TrafficPolicy
from rules.source_ranges import Admission, admission


class ServicePortPlan(NamedTuple):
    """What a service port needs in the kernel. Addresses are of one family."""

    name: str
    """``ns/name[:port]``, the service port name."""
    protocol: str
    port: int
    node_port: int
    cluster_ips: tuple[str, ...]
    external_ips: tuple[str, ...]
    ingress_ips: tuple[str, ...]
    health_check_node_port: int
    affinity_seconds: int | None
    external_policy: TrafficPolicy
    admission: Admission
    endpoints: UsableEndpoints
    port_match: PortMatch
    cluster_ip_comment: Comment

    cluster_chain: str
    local_chain: str
    external_chain: str
    load_balancer_chain: str
    internal_chain: str
    """The policy chain that cluster-IP traffic goes to."""
    external_policy_chain: str
    """The policy chain that traffic from outside goes to in the end."""

    has_internal_endpoints: bool
    has_external_endpoints: bool
    uses_external_chain: bool
    uses_load_balancer_chain: bool
    uses_cluster_chain: bool
    uses_local_chain: bool


def for_family(service: Service, family: Family) -> Service:
    """The service with the addresses of ``family`` only; source ranges keep both families."""
    named = (service.cluster_ips, service.external_ips, service.ingress_ips)
    cluster_ips, external_ips, ingress_ips = (of_family(addresses, family) for addresses in named)
    if (cluster_ips, external_ips, ingress_ips) == named:
        return service
    return replace(
        service, cluster_ips=cluster_ips, external_ips=external_ips, ingress_ips=ingress_ips
    )


def plan_port(
    service: Service,
    port: ServicePort,
    slices: Iterable[EndpointSlice],
    context: FamilyContext,
) -> ServicePortPlan:
    """Decide what ``port`` of ``service`` (as :func:`for_family` gives it) needs."""
    endpoints = usable_endpoints(service, port, slices, context)
    name = names.service_port_name(service.key.namespace, service.key.name, port.name)
    suffix = names.service_hash(name, port.protocol)
    cluster_chain = names.CLUSTER_POLICY_PREFIX + suffix
    local_chain = names.LOCAL_POLICY_PREFIX + suffix
    internal_is_local = service.internal_traffic_policy is TrafficPolicy.LOCAL
    external_is_local = service.external_traffic_policy is TrafficPolicy.LOCAL
    internal_chain = local_chain if internal_is_local else cluster_chain
    external_policy_chain = local_chain if external_is_local else cluster_chain
    has_endpoints = endpoints.exist_anywhere
    has_internal = bool(endpoints.local) if internal_is_local else has_endpoints
    has_external = bool(endpoints.local) if external_is_local else has_endpoints
    admitted = admission(service, context)
    ingress_admits = has_endpoints and bool(service.ingress_ips) and not admitted.nobody
    # Ingress traffic takes the short way to the cluster-policy chain, past the external chain,
    # unless the policy is Local, whose special cases stand in the external chain.
    uses_external = has_endpoints and bool(
        service.external_ips or port.node_port or (external_is_local and ingress_admits)
    )
    return ServicePortPlan(
        name=name,
        protocol=port.protocol,
        port=port.port,
        node_port=port.node_port,
        cluster_ips=service.cluster_ips,
        external_ips=service.external_ips,
        ingress_ips=service.ingress_ips,
        health_check_node_port=service.health_check_node_port,
        affinity_seconds=service.affinity_seconds,
        external_policy=service.external_traffic_policy,
        admission=admitted,
        endpoints=endpoints,
        port_match=PortMatch(port.protocol, port.port),
        cluster_ip_comment=Comment(f"{name} cluster IP"),
        cluster_chain=cluster_chain,
        local_chain=local_chain,
        external_chain=names.EXTERNAL_PREFIX + suffix,
        load_balancer_chain=names.LOAD_BALANCER_PREFIX + suffix,
        internal_chain=internal_chain,
        external_policy_chain=external_policy_chain,
        has_internal_endpoints=has_internal,
        has_external_endpoints=has_external,
        uses_external_chain=uses_external,
        uses_load_balancer_chain=has_endpoints and bool(service.ingress_ips),
        uses_cluster_chain=bool(endpoints.cluster)
        and (not internal_is_local or uses_external or ingress_admits),
        uses_local_chain=bool(endpoints.local)
        and (internal_is_local or (external_is_local and uses_external)),
    )
