# SPDX-License-Identifier: Apache-2.0
"""The JSON of the API objects: only the fields that the rules depend on, named as on the wire.

Everything is optional that the API server may leave out or write as null. Source: the Kubernetes
API reference, core/v1 Service and Node, discovery.k8s.io/v1 EndpointSlice, meta/v1.
"""

from __future__ import annotations

from enum import Enum
from typing import Annotated, Literal

from msgspec import Meta, Struct, field

from rules.model import ServiceType, TrafficPolicy

Port = Annotated[int, Meta(ge=1, le=65535)]
PortOrNone = Annotated[int, Meta(ge=0, le=65535)]
"""A port where the API says 0 for "not assigned"."""
AffinitySeconds = Annotated[int, Meta(ge=1, le=86400)]
Protocol = Literal["TCP", "UDP", "SCTP"]


class Wire(Struct, gc=False, rename="camel"):
    """Base of all: no value holds a cycle, so none needs the garbage collector."""


class ObjectMeta(Wire):
    """``metadata``."""

    name: str
    namespace: str | None = None
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None
    deletion_timestamp: str | None = None


class Named(Wire):
    """What every object has: enough to tell which one it is."""

    metadata: ObjectMeta


class Identity(Wire):
    """Name and namespace alone, readable in objects whose other fields are wrong."""

    name: str
    namespace: str | None = None


class Identified(Wire):
    """An object as far as it can be identified."""

    metadata: Identity


class ServicePort(Wire):
    """``spec.ports[]`` of a Service."""

    port: Port
    name: str | None = None
    protocol: Protocol | None = None
    node_port: PortOrNone | None = None


class ClientIPConfig(Wire):
    """``spec.sessionAffinityConfig.clientIP``."""

    timeout_seconds: AffinitySeconds | None = None


class SessionAffinityConfig(Wire):
    """``spec.sessionAffinityConfig``."""

    client_ip: ClientIPConfig | None = field(name="clientIP", default=None)


class ServiceSpec(Wire):
    """``spec`` of a Service."""

    type: ServiceType | None = None
    ports: list[ServicePort] | None = None
    cluster_ip: str | None = field(name="clusterIP", default=None)
    cluster_ips: list[str] | None = field(name="clusterIPs", default=None)
    external_ips: list[str] | None = field(name="externalIPs", default=None)
    load_balancer_source_ranges: list[str] | None = None
    internal_traffic_policy: TrafficPolicy | None = None
    external_traffic_policy: TrafficPolicy | None = None
    health_check_node_port: PortOrNone | None = None
    session_affinity: Literal["None", "ClientIP"] | None = None
    session_affinity_config: SessionAffinityConfig | None = None


class Ingress(Wire):
    """``status.loadBalancer.ingress[]``."""

    ip: str | None = None
    ip_mode: Literal["VIP", "Proxy"] | None = None


class LoadBalancerStatus(Wire):
    """``status.loadBalancer``."""

    ingress: list[Ingress] | None = None


class ServiceStatus(Wire):
    """``status`` of a Service."""

    load_balancer: LoadBalancerStatus | None = None


class Service(Named):
    """core/v1 Service."""

    spec: ServiceSpec
    status: ServiceStatus | None = None


class AddressType(Enum):
    """``addressType`` of an EndpointSlice."""

    IPV4 = "IPv4"
    IPV6 = "IPv6"
    FQDN = "FQDN"


class SlicePort(Wire):
    """``ports[]`` of an EndpointSlice."""

    name: str | None = None
    port: Port | None = None
    protocol: Protocol | None = None


class Conditions(Wire):
    """``endpoints[].conditions``."""

    ready: bool | None = None
    serving: bool | None = None
    terminating: bool | None = None


class NamedHint(Wire):
    """``endpoints[].hints.forZones[]`` and ``forNodes[]``."""

    name: str


class Hints(Wire):
    """``endpoints[].hints``."""

    for_zones: list[NamedHint] | None = None
    for_nodes: list[NamedHint] | None = None


class Endpoint(Wire):
    """``endpoints[]`` of an EndpointSlice."""

    addresses: list[str] | None = None
    node_name: str | None = None
    conditions: Conditions | None = None
    hints: Hints | None = None


class EndpointSlice(Named):
    """discovery.k8s.io/v1 EndpointSlice."""

    address_type: AddressType
    ports: list[SlicePort] | None = None
    endpoints: list[Endpoint] | None = None


class Taint(Wire):
    """``spec.taints[]`` of a Node."""

    key: str


class NodeSpec(Wire):
    """``spec`` of a Node."""

    taints: list[Taint] | None = None

    pod_cidr: str | None = field(name="podCIDR", default=None)
    pod_cidrs: list[str] | None = field(name="podCIDRs", default=None)


class NodeAddress(Wire):
    """``status.addresses[]`` of a Node."""

    type: str
    address: str


class NodeStatus(Wire):
    """``status`` of a Node."""

    addresses: list[NodeAddress] | None = None


class Node(Named):
    """core/v1 Node."""

    spec: NodeSpec | None = None
    status: NodeStatus | None = None
