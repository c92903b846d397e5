# SPDX-License-Identifier: Apache-2.0
"""Which endpoints count: for cluster-wide traffic, for local traffic, in this node's topology."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from rules.addresses import endpoint_text
from rules.context import FamilyContext
from rules.model import EndpointSlice, Service, ServicePort, SliceEndpoint, TrafficPolicy


class Endpoint(NamedTuple):
    """One address and port that may serve a service port."""

    text: str
    """``ip:port`` or ``[ip]:port``: its identity and its sort key."""
    address: str
    port: int
    is_local: bool
    state: SliceEndpoint


class UsableEndpoints(NamedTuple):
    """The endpoints of one service port as this node sees them, each set sorted by text."""

    cluster: tuple[Endpoint, ...]
    """For traffic that any endpoint may serve."""
    local: tuple[Endpoint, ...]
    """For traffic that only this node's endpoints may serve."""
    exist_anywhere: bool
    """Whether some node could serve the service port, even if this one may not use it."""


def is_externally_accessible(service: Service, port: ServicePort) -> bool:
    """Whether anything but cluster IPs leads to this port."""
    return bool(port.node_port or service.external_ips or service.ingress_ips)


def usable_endpoints(
    service: Service,
    port: ServicePort,
    slices: Iterable[EndpointSlice],
    context: FamilyContext,
) -> UsableEndpoints:
    """What the slices offer to ``port``, judged by the service's policies and the topology."""
    endpoints = endpoints_of_port(port, slices, context)
    external = is_externally_accessible(service, port)
    needs_local = service.internal_traffic_policy is TrafficPolicy.LOCAL or (
        external and service.external_traffic_policy is TrafficPolicy.LOCAL
    )
    needs_cluster = external or service.internal_traffic_policy is TrafficPolicy.CLUSTER
    ready = [endpoint for endpoint in endpoints if endpoint.state.ready]
    cluster: Sequence[Endpoint] = ()
    if needs_cluster:
        cluster = _allowed_by_topology(ready, context) if ready else _serving_terminating(endpoints)
    local: Sequence[Endpoint] = ()
    if needs_local:
        local = [endpoint for endpoint in ready if endpoint.is_local] or [
            endpoint for endpoint in _serving_terminating(endpoints) if endpoint.is_local
        ]
    exist_anywhere = bool(
        cluster or local or (needs_local and (ready or _serving_terminating(endpoints)))
    )
    return UsableEndpoints(tuple(cluster), tuple(local), exist_anywhere)


def endpoints_of_port(
    port: ServicePort, slices: Iterable[EndpointSlice], context: FamilyContext
) -> list[Endpoint]:
    """All endpoints of the port, each address and port once, sorted by text."""
    found: dict[str, Endpoint] = {}
    for endpoint_slice in slices:
        if endpoint_slice.family is not context.family:
            continue
        for slice_port in endpoint_slice.ports:
            if slice_port.name != port.name:
                continue
            number = slice_port.port
            for state in endpoint_slice.endpoints:
                text = endpoint_text(state.address, number)
                endpoint = Endpoint(
                    text, state.address, number, state.node_name == context.node_name, state
                )
                rival = found.get(text)
                if rival is None or _precedence(state) < _precedence(rival.state):
                    found[text] = endpoint
    return [found[text] for text in sorted(found)]


def _precedence(state: SliceEndpoint) -> tuple[object, ...]:
    """Smallest wins when slices disagree about an address: a non-terminating one first.

    The rest of the key only makes the choice independent of the order of the slices.
    """
    return (state.terminating, not state.ready, not state.serving, state)


def _serving_terminating(endpoints: Iterable[Endpoint]) -> list[Endpoint]:
    return [
        endpoint for endpoint in endpoints if endpoint.state.serving and endpoint.state.terminating
    ]


def _allowed_by_topology(ready: Sequence[Endpoint], context: FamilyContext) -> Sequence[Endpoint]:
    """Those meant for this node, else for its zone, if all endpoints carry such hints; else all."""
    if all(endpoint.state.node_hints for endpoint in ready):
        meant = [endpoint for endpoint in ready if context.node_name in endpoint.state.node_hints]
        if meant:
            return meant
    if context.zone and all(endpoint.state.zone_hints for endpoint in ready):
        meant = [endpoint for endpoint in ready if context.zone in endpoint.state.zone_hints]
        if meant:
            return meant
    return ready
