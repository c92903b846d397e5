# SPDX-License-Identifier: Apache-2.0
"""A made-up cluster, as the sources would have decoded it. Equal shapes give equal objects.

Of 20 Services, two have a node port, one is a load balancer with source ranges, one is a load
balancer with externalTrafficPolicy Local, one has session affinity, and the others have a cluster
IP only. Each has one port, UDP with one of 20 and else TCP, and one slice. Endpoints are spread
evenly over so many nodes that each has about 100 of them, and at least ten nodes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from ipaddress import IPv4Address
from typing import Final

from rules.context import FamilyContext, ProxyOptions, family_context
from rules.ir import Family
from rules.model import (
    EndpointSlice,
    Node,
    ObjectKey,
    Service,
    ServicePort,
    ServiceState,
    ServiceType,
    SliceEndpoint,
    SlicePort,
    TrafficPolicy,
)

MAX_SERVICES: Final = 30_000
"""So that all node ports and health-check ports fit below the ephemeral ones."""
MAX_ENDPOINTS: Final = 100

_CYCLE: Final = 20
_NODE_PORT: Final = (3, 13)
_LOAD_BALANCER: Final = 6
_AFFINITY: Final = 11
_LOCAL_LOAD_BALANCER: Final = 16
_UDP: Final = 19

# Behind 10.96.0.1, which is the API server's own in a real cluster.
_CLUSTER_IPS: Final = IPv4Address("10.96.1.0")
_PODS: Final = IPv4Address("10.128.0.0")
CLUSTER_CIDR: Final = "10.128.0.0/9"
_INGRESS_IPS: Final = IPv4Address("198.18.0.0")
_SOURCE_RANGES: Final = ("192.0.2.0/24", "203.0.113.0/24")
_NODE_ADDRESS: Final = "192.0.2.11"
_FIRST_NODE_PORT: Final = 20_000
_SERVICES_A_NODE_PORT: Final = 5
_FIRST_HEALTH_CHECK_PORT: Final = 30_000
_NAMESPACES: Final = 50
_ENDPOINTS_A_NODE: Final = 100
"""A kubelet runs at most 110 pods unless told otherwise: KubeletConfiguration, maxPods."""
_FEWEST_NODES: Final = 10
_AFFINITY_SECONDS: Final = 10_800
TARGET_PORT: Final = 8080


@dataclass(frozen=True, slots=True)
class Shape:
    """How large a cluster is."""

    services: int
    endpoints: int
    """Of each Service."""

    @property
    def nodes(self) -> int:
        """How many nodes it takes to run all endpoints."""
        return max(_FEWEST_NODES, self.services * self.endpoints // _ENDPOINTS_A_NODE)

    def __str__(self) -> str:
        return f"{self.services} x {self.endpoints}"


@dataclass(frozen=True, slots=True)
class Cluster:
    """All objects of a cluster. The slice at a position belongs to the Service at the same."""

    services: tuple[Service, ...]
    slices: tuple[EndpointSlice, ...]
    node: Node

    is_large: bool = False
    """Whether its rules are those of a large cluster, whatever its size."""

    @property
    def context(self) -> FamilyContext:
        """What the rules of IPv4 depend on, besides the objects."""
        options = ProxyOptions(cluster_cidrs=(CLUSTER_CIDR,))
        return family_context(options, self.node, Family.IPV4, is_large=self.is_large)

    def states(self) -> dict[ObjectKey, ServiceState]:
        """Each Service with its slice."""
        return {
            service.key: ServiceState(service, (endpoint_slice,))
            for service, endpoint_slice in zip(self.services, self.slices, strict=True)
        }

    def plain_positions(self) -> tuple[int, ...]:
        """Where the Services with nothing but a cluster IP and TCP stand."""
        return tuple(
            position
            for position, service in enumerate(self.services)
            if service.type is ServiceType.CLUSTER_IP
            and service.affinity_seconds is None
            and service.ports[0].protocol == "tcp"
        )


def make_cluster(shape: Shape) -> Cluster:
    """A cluster of that shape."""
    services = tuple(_service(number) for number in range(shape.services))
    slices = tuple(_slice(service.key, number, shape) for number, service in enumerate(services))
    return Cluster(services, slices, Node(_node_name(0), (_NODE_ADDRESS,)))


def without_first_endpoint(endpoint_slice: EndpointSlice) -> EndpointSlice:
    """The slice when its first endpoint has stopped being ready."""
    first, *others = endpoint_slice.endpoints
    unready = first._replace(ready=False, serving=False)
    return replace(endpoint_slice, endpoints=(unready, *others))


def _service(number: int) -> Service:
    key = ObjectKey(f"team-{number % _NAMESPACES:02}", f"service-{number:05}")
    kind = number % _CYCLE
    has_node_port = kind in (*_NODE_PORT, _LOAD_BALANCER, _LOCAL_LOAD_BALANCER)
    # Four of 20 have one: the 4th, 7th, 14th and 17th, one of each five.
    node_port = _FIRST_NODE_PORT + number // _SERVICES_A_NODE_PORT if has_node_port else 0
    plain = Service(
        key,
        ServiceType.CLUSTER_IP,
        (ServicePort("", "udp" if kind == _UDP else "tcp", 80, node_port),),
        (str(_CLUSTER_IPS + 1 + number),),
    )
    ingress_ips = (str(_INGRESS_IPS + 1 + number),)
    if kind in _NODE_PORT:
        return replace(plain, type=ServiceType.NODE_PORT)
    if kind == _LOAD_BALANCER:
        return replace(
            plain,
            type=ServiceType.LOAD_BALANCER,
            ingress_ips=ingress_ips,
            source_ranges=_SOURCE_RANGES,
        )
    if kind == _LOCAL_LOAD_BALANCER:
        return replace(
            plain,
            type=ServiceType.LOAD_BALANCER,
            ingress_ips=ingress_ips,
            external_traffic_policy=TrafficPolicy.LOCAL,
            health_check_node_port=_FIRST_HEALTH_CHECK_PORT + number // _CYCLE,
        )
    if kind == _AFFINITY:
        return replace(plain, affinity_seconds=_AFFINITY_SECONDS)
    return plain


def _slice(service: ObjectKey, number: int, shape: Shape) -> EndpointSlice:
    first = _PODS + 1 + number * shape.endpoints
    return EndpointSlice(
        ObjectKey(service.namespace, f"{service.name}-1"),
        service,
        Family.IPV4,
        (SlicePort("", TARGET_PORT),),
        tuple(
            SliceEndpoint(str(first + index), _node_name((number + index) % shape.nodes))
            for index in range(shape.endpoints)
        ),
    )


def _node_name(number: int) -> str:
    return f"node-{number}"
