# SPDX-License-Identifier: Apache-2.0
"""What a node knows of each service port, with the numbers of its counters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from rules.addresses import endpoint_text
from rules.endpoints import Endpoint
from rules.ir import Family
from rules.model import ObjectKey, TrafficPolicy
from rules.service_port import ServicePortPlan
from rules.traffic.accounts import Account, Purpose, ServicePortView
from rules.traffic.tally import Tally, increments, totals


@dataclass(frozen=True, slots=True)
class Traffic:
    """How often something happened since the rules that count it stand, and how often lately."""

    count: int
    rate: float | None
    """In a second; None without a second reading."""


@dataclass(frozen=True, slots=True)
class EndpointTraffic:
    """An endpoint that this node may send connections to."""

    text: str
    """``ip:port`` or ``[ip]:port``."""
    is_local: bool
    connections: Traffic


@dataclass(frozen=True, slots=True)
class Address:
    """Where clients find a service port."""

    kind: str
    """clusterIP, externalIP, loadBalancerIP or nodePort."""
    text: str
    """``ip:port``, ``[ip]:port``, or the node port alone."""


@dataclass(frozen=True, slots=True)
class ServiceTraffic:
    """One service port in one family."""

    family: Family
    key: ObjectKey
    name: str
    """``ns/name[:port]``, the service port name."""
    protocol: str
    addresses: tuple[Address, ...]
    internal_policy: TrafficPolicy
    external_policy: TrafficPolicy | None
    """None if nothing but cluster IPs leads to it."""
    endpoints: tuple[EndpointTraffic, ...]
    connections: Traffic
    dropped: Mapping[Purpose, Traffic]
    """Packets by why they were dropped."""
    rejected: Traffic

    @property
    def all_dropped(self) -> Traffic:
        """Packets dropped for any reason."""
        parts = self.dropped.values()
        rates = [part.rate for part in parts if part.rate is not None]
        return Traffic(sum(part.count for part in parts), sum(rates) if rates else None)


DROPS: Final = (Purpose.OUTSIDE_SOURCE_RANGES, Purpose.NO_LOCAL_ENDPOINTS)
"""Why packets to a service port are dropped."""


@dataclass(frozen=True, slots=True)
class Readings:
    """One or two readings of a family's counters."""

    last: Tally
    before: Tally | None = None
    seconds: float = 0.0
    """Between the two."""


def service_traffic(
    family: Family, ports: Iterable[ServicePortView], readings: Readings
) -> tuple[ServiceTraffic, ...]:
    """All ``ports`` of ``family``, in their order, with what ``readings`` say of them."""
    numbers = _Numbers(readings)
    return tuple(_service_traffic(family, port, numbers) for port in ports)


class _Numbers:
    """What the readings say, by account."""

    def __init__(self, readings: Readings) -> None:
        self._counts = totals(readings.last)
        self._added: Mapping[Account, int] | None = None
        if readings.before is not None:
            self._added = increments(readings.before, readings.last)
            self._seconds = readings.seconds

    def of(self, port_hash: str, purpose: Purpose, endpoint: str = "") -> Traffic:
        account = Account(port_hash, purpose, endpoint)
        added = None if self._added is None else self._added.get(account, 0) / self._seconds
        return Traffic(self._counts.get(account, 0), added)


def _service_traffic(family: Family, port: ServicePortView, numbers: _Numbers) -> ServiceTraffic:
    plan = port.plan
    is_external = bool(plan.external_ips or plan.ingress_ips or plan.node_port)
    is_internal_local = plan.internal_chain == plan.local_chain
    return ServiceTraffic(
        family=family,
        key=port.key,
        name=plan.name,
        protocol=plan.protocol,
        addresses=_addresses(plan),
        internal_policy=TrafficPolicy.LOCAL if is_internal_local else TrafficPolicy.CLUSTER,
        external_policy=plan.external_policy if is_external else None,
        endpoints=tuple(
            EndpointTraffic(
                endpoint.text,
                endpoint.is_local,
                numbers.of(port.hash, Purpose.TRANSLATED, endpoint.text),
            )
            for endpoint in _usable(plan)
        ),
        connections=numbers.of(port.hash, Purpose.SERVED),
        dropped={purpose: numbers.of(port.hash, purpose) for purpose in DROPS},
        rejected=numbers.of(port.hash, Purpose.REJECTED),
    )


def _usable(plan: ServicePortPlan) -> list[Endpoint]:
    """The endpoints that some way to the service port leads to on this node."""
    found: dict[str, Endpoint] = {}
    if plan.uses_cluster_chain:
        found.update((endpoint.text, endpoint) for endpoint in plan.endpoints.cluster)
    if plan.uses_local_chain:
        found.update((endpoint.text, endpoint) for endpoint in plan.endpoints.local)
    return [found[text] for text in sorted(found)]


def _addresses(plan: ServicePortPlan) -> tuple[Address, ...]:
    by_kind = (
        ("clusterIP", plan.cluster_ips),
        ("externalIP", plan.external_ips),
        ("loadBalancerIP", plan.ingress_ips),
    )
    vips = [
        Address(kind, endpoint_text(address, plan.port))
        for kind, addresses in by_kind
        for address in addresses
    ]
    node_ports = [Address("nodePort", str(plan.node_port))] if plan.node_port else []
    return (*vips, *node_ports)
