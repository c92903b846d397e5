# SPDX-License-Identifier: Apache-2.0
"""What load balancers are told that ask a health-check node port."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from rules.addresses import of_family
from rules.context import FamilyContext
from rules.ir import Family
from rules.model import ObjectKey, ServiceState

_EVERY_ADDRESS: Final = {Family.IPV4: "0.0.0.0", Family.IPV6: "::"}  # noqa: S104 - as node ports are


@dataclass(frozen=True, slots=True)
class HealthCheckService:
    """A Service with a health-check node port, as one family of this node sees it."""

    port: int
    local_endpoints: int
    """How many of its ready endpoints are on this node, counted by address."""


def health_check_services(
    services: Mapping[ObjectKey, ServiceState], context: FamilyContext
) -> dict[ObjectKey, HealthCheckService]:
    """The Services that load balancers may ask for in the context's family."""
    return {
        key: HealthCheckService(
            state.service.health_check_node_port, len(set(_local_ready_addresses(state, context)))
        )
        for key, state in services.items()
        if state.service.health_check_node_port
        and state.service.is_proxied
        and of_family(state.service.cluster_ips, context.family)
    }


def listening_addresses(context: FamilyContext) -> tuple[str, ...]:
    """The addresses to answer on: those that serve node ports."""
    if context.node_port_addresses is None:
        return (_EVERY_ADDRESS[context.family],)
    return context.node_port_addresses


def _local_ready_addresses(state: ServiceState, context: FamilyContext) -> Iterator[str]:
    """Endpoints that end do not count, even while they serve: the balancer should move on."""
    for endpoint_slice in state.slices:
        if endpoint_slice.family is context.family and endpoint_slice.ports:
            for endpoint in endpoint_slice.endpoints:
                if endpoint.ready and endpoint.node_name == context.node_name:
                    yield endpoint.address
