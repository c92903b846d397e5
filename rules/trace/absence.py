# SPDX-License-Identifier: Apache-2.0
"""Why an endpoint of the Service that a packet addressed gets none of such packets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from enum import Enum
from typing import NamedTuple

from rules import names
from rules.context import FamilyContext
from rules.endpoints import Endpoint, endpoints_of_port, usable_endpoints
from rules.model import ObjectKey, ServicePort, ServiceState
from rules.trace.refusal import Policy
from rules.trace.tracer import Path


class Reason(Enum):
    """Why an endpoint is not among those that a packet can reach."""

    NOT_READY = "notReady"
    TERMINATING = "terminating"
    OTHER_NODE = "otherNode"
    """The policy is Local and it is on another node, or its hints mean it for other nodes."""
    OTHER_ZONE = "otherZone"
    """Its hints mean it for other zones."""
    NOT_IN_RULES = "notInRules"
    """It should be among them, but the rules that were followed do not know it."""


class Absence(NamedTuple):
    """An endpoint that a packet cannot reach."""

    service_port: str
    """``ns/name[:port]``, the service port name."""
    endpoint: str
    """``ip:port`` or ``[ip]:port``."""
    reason: Reason


class _ServicePort(NamedTuple):
    state: ServiceState
    port: ServicePort
    name: str


def absences(
    paths: Iterable[Path], services: Mapping[ObjectKey, ServiceState], context: FamilyContext
) -> tuple[Absence, ...]:
    """The endpoints that no path leads to, of the service ports that ``paths`` come by.

    None of a service port whose source ranges keep the packet out.
    """
    paths = tuple(paths)
    reached = {path.outcome.destination for path in paths if path.outcome.is_translated}
    return tuple(
        Absence(service_port.name, endpoint.text, reason)
        for service_port in _addressed(paths, services)
        for endpoint, reason in _unreached(service_port, paths, context)
        if endpoint.text not in reached
    )


def _addressed(
    paths: Iterable[Path], services: Mapping[ObjectKey, ServiceState]
) -> Iterator[_ServicePort]:
    """The service ports whose chains a path passes, or whose lack of endpoints ends it."""
    hashes: set[str] = set()
    refused: set[str] = set()
    for path in paths:
        refusal = path.outcome.refusal
        if refusal is None or refusal.policy is not Policy.SOURCE_RANGES:
            hashes.update(names.hash_of(step.chain) for step in path.steps)
        if refusal and refusal.policy in (Policy.NO_ENDPOINTS, Policy.NO_LOCAL_ENDPOINTS):
            refused.add(refusal.where)
    for state in services.values():
        for port in sorted(state.service.ports):
            name = names.service_port_name(*state.service.key, port.name)
            if name in refused or names.service_hash(name, port.protocol) in hashes:
                yield _ServicePort(state, port, name)


def _unreached(
    service_port: _ServicePort, paths: Iterable[Path], context: FamilyContext
) -> Iterator[tuple[Endpoint, Reason]]:
    """All endpoints, each with why it is not reached if it is not."""
    (state, port, name) = service_port
    usable = usable_endpoints(state.service, port, state.slices, context)
    endpoints = endpoints_of_port(port, state.slices, context)
    is_local = _is_for_local_endpoints(paths, names.service_hash(name, port.protocol))
    chosen = {endpoint.text for endpoint in (usable.local if is_local else usable.cluster)}
    by_node = _is_decided_by_node_hints(endpoints, context)
    for endpoint in endpoints:
        if endpoint.text in chosen:
            yield endpoint, Reason.NOT_IN_RULES
        elif is_local and not endpoint.is_local:
            yield endpoint, Reason.OTHER_NODE
        elif not endpoint.state.ready:
            is_leaving = endpoint.state.terminating
            yield endpoint, Reason.TERMINATING if is_leaving else Reason.NOT_READY
        else:
            yield endpoint, Reason.OTHER_NODE if by_node else Reason.OTHER_ZONE


def _is_for_local_endpoints(paths: Iterable[Path], service_hash: str) -> bool:
    """Whether policy Local chose the endpoints, judged by the chains that were passed."""
    chains = {step.chain for path in paths for step in path.steps}
    if names.CLUSTER_POLICY_PREFIX + service_hash in chains:
        return False
    return names.LOCAL_POLICY_PREFIX + service_hash in chains or any(
        path.outcome.refusal is not None
        and path.outcome.refusal.policy is Policy.NO_LOCAL_ENDPOINTS
        for path in paths
    )


def _is_decided_by_node_hints(endpoints: Iterable[Endpoint], context: FamilyContext) -> bool:
    """Whether hints name nodes, this one among them; hints for zones do not count then."""
    ready = [endpoint for endpoint in endpoints if endpoint.state.ready]
    return all(endpoint.state.node_hints for endpoint in ready) and any(
        context.node_name in endpoint.state.node_hints for endpoint in ready
    )
