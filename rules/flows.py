# SPDX-License-Identifier: Apache-2.0
"""Which connection-tracking entries have outlived the rules that made them.

Rules are consulted for the first packet of a flow only; conntrack repeats their decision for the
rest. A TCP client notices that its server is gone and connects anew. A UDP client just goes on, and
as long as it does, the entry lives and leads it to an endpoint that no longer serves. (SCTP
associations last, too: they are made to outlive the failure of a path.)

A flow may stay as long as its endpoint serves, whatever this node would choose for a new one: a
change of traffic policy or topology, or the beginning of a graceful end, cuts nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from rules.addresses import is_loopback
from rules.context import FamilyContext
from rules.model import EndpointSlice, ObjectKey, ServicePort, ServiceState
from rules.service_port import for_family

_STICKY_PROTOCOLS: Final = frozenset({"udp", "sctp"})
_ANY_LOCAL_ADDRESS: Final = ""
_MOST_FORMER: Final = 1 << 14
"""Former targets to remember, some megabytes of them."""


class SocketAddress(NamedTuple):
    """One end of a flow."""

    address: str
    port: int


class Flow(NamedTuple):
    """What conntrack knows of a flow, as far as it matters here."""

    protocol: str
    destination: SocketAddress
    """Whom the client addressed, before any translation."""
    reply_source: SocketAddress
    """Who answers: the endpoint, if the destination was translated."""


class FlowTarget(NamedTuple):
    """What a client may have addressed to get a service port."""

    protocol: str
    address: str
    """Empty for a node port that every local address serves."""
    port: int


Endpoints = frozenset[SocketAddress]
_NONE: Final[Endpoints] = frozenset()


@dataclass(frozen=True, slots=True)
class FlowTargets:
    """All targets of one family's service ports, with the endpoints that serve each."""

    serving: Mapping[FlowTarget, Endpoints]
    former: frozenset[FlowTarget] = frozenset()
    """What was a target once and is none now."""
    loopback_serves_node_ports: bool = False

    @property
    def protocols(self) -> frozenset[str]:
        """The protocols of all targets."""
        return frozenset(target.protocol for target in (*self.serving, *self.former))

    @property
    def ports(self) -> frozenset[int]:
        """The ports of all targets: no other flow can be stale."""
        return frozenset(target.port for target in (*self.serving, *self.former))

    def remembering(self, before: FlowTargets) -> FlowTargets:
        """The same targets, knowing besides which ones of ``before`` are gone.

        If those were too many, the oldest are forgotten: nobody looks for their flows any more,
        which end when their clients pause for long enough.
        """
        gone = before.serving.keys() - self.serving.keys()
        older = before.former - self.serving.keys()
        if len(gone) + len(older) > _MOST_FORMER:
            older = frozenset()
        return replace(self, former=frozenset(gone | older))

    def is_stale(self, flow: Flow, local_addresses: Collection[str]) -> bool:
        """Whether ``flow`` goes to a target and would, if it began now, go elsewhere.

        A flow to a target that was never translated is stale as well: it began before the rules.
        To a former target it is not: nobody but its destination has a claim to it any more.
        """
        for target in self._candidates(flow, local_addresses):
            if target in self.serving:
                return flow.reply_source not in self.serving[target]
        if not self.former or flow.reply_source == flow.destination:
            return False
        return any(target in self.former for target in self._candidates(flow, local_addresses))

    def _candidates(self, flow: Flow, local_addresses: Collection[str]) -> Iterator[FlowTarget]:
        protocol, (address, port) = flow.protocol, flow.destination
        yield FlowTarget(protocol, address, port)
        node_port = FlowTarget(protocol, _ANY_LOCAL_ADDRESS, port)
        if node_port in self.serving or node_port in self.former:
            if is_loopback(address):
                is_served = self.loopback_serves_node_ports
            else:
                is_served = address in local_addresses
            if is_served:
                yield node_port


def needs_reconcile(before: FlowTargets | None, after: FlowTargets) -> bool:
    """Whether the step from ``before`` to ``after`` can have left stale flows behind.

    It can if a target lost an endpoint, vanished, or got its first endpoint. Nothing is known of
    the time before the first step (``before`` is None): then it can if there is any target.
    """
    if before is None:
        return bool(after.serving)
    if before is after:
        return False
    lost = any(
        not endpoints <= after.serving.get(target, _NONE)
        for target, endpoints in before.serving.items()
    )
    return lost or any(
        endpoints and not before.serving.get(target) for target, endpoints in after.serving.items()
    )


class FlowTargetsBuilder:
    """Finds the targets of each Service and remembers them until its state changes.

    The memory is not visible in the results: they equal those of a new builder, always.
    """

    def __init__(self, context: FamilyContext) -> None:
        self._context = context
        self._states: Mapping[ObjectKey, ServiceState] | None = None
        self._found: dict[ObjectKey, tuple[ServiceState, Mapping[FlowTarget, Endpoints]]] = {}
        self._result = self._merged()

    @property
    def context(self) -> FamilyContext:
        """What the remembered targets were found for."""
        return self._context

    def build(self, states: Mapping[ObjectKey, ServiceState]) -> FlowTargets:
        """The targets of all Services; the same object as last time if no state changed.

        ``states`` must not change afterwards: the same mapping as last time is not looked at again.
        """
        if states is self._states:
            return self._result
        self._states = states
        found = self._found
        if len(found) == len(states) and all(
            key in found and found[key][0] is state for key, state in states.items()
        ):
            return self._result
        self._found = {}
        for key, state in states.items():
            known = found.get(key)
            if known is None or known[0] is not state:
                known = state, _targets_of(state, self._context)
            self._found[key] = known
        self._result = self._merged()
        return self._result

    def _merged(self) -> FlowTargets:
        """All targets; one that Services share is served by the endpoints of all of them."""
        serving: dict[FlowTarget, Endpoints] = {}
        for _, targets in self._found.values():
            for target, endpoints in targets.items():
                rivals = serving.get(target)
                serving[target] = endpoints if rivals is None else rivals | endpoints
        return FlowTargets(serving, loopback_serves_node_ports=self._context.localhost_node_ports)


def _targets_of(state: ServiceState, context: FamilyContext) -> Mapping[FlowTarget, Endpoints]:
    ports = [port for port in state.service.ports if port.protocol in _STICKY_PROTOCOLS]
    if not ports or not state.service.is_proxied:
        return {}
    service = for_family(state.service, context.family)
    if not service.cluster_ips:
        return {}
    found: dict[FlowTarget, Endpoints] = {}
    for port in ports:
        endpoints = frozenset(_serving_endpoints(port, state.slices, context))
        for address in (*service.cluster_ips, *service.external_ips, *service.ingress_ips):
            found[FlowTarget(port.protocol, address, port.port)] = endpoints
        for address in _node_port_addresses(port, context):
            found.setdefault(FlowTarget(port.protocol, address, port.node_port), endpoints)
    return found


def _node_port_addresses(port: ServicePort, context: FamilyContext) -> tuple[str, ...]:
    if not port.node_port:
        return ()
    if context.node_port_addresses is None:
        return (_ANY_LOCAL_ADDRESS,)
    return context.node_port_addresses


def _serving_endpoints(
    port: ServicePort, slices: Iterable[EndpointSlice], context: FamilyContext
) -> Iterator[SocketAddress]:
    for endpoint_slice in slices:
        if endpoint_slice.family is not context.family:
            continue
        for slice_port in endpoint_slice.ports:
            if slice_port.name != port.name:
                continue
            for endpoint in endpoint_slice.endpoints:
                if endpoint.ready or endpoint.serving:
                    yield SocketAddress(endpoint.address, slice_port.port)
