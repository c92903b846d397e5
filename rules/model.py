# SPDX-License-Identifier: Apache-2.0
"""What the rules need to know of Services, EndpointSlices and the Node.

Values are checked where they are made (``dataplane.sources.decode``): addresses are valid and in
canonical text form, networks carry no host bits, ports are 1-65535, protocols lower case.
Source of the meanings: the Kubernetes API reference, core/v1 Service and discovery.k8s.io/v1
EndpointSlice.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from rules.ir import Family


class TrafficPolicy(Enum):
    """Which endpoints may serve a kind of traffic."""

    CLUSTER = "Cluster"
    LOCAL = "Local"


class ServiceType(Enum):
    """``spec.type`` of a Service."""

    CLUSTER_IP = "ClusterIP"
    NODE_PORT = "NodePort"
    LOAD_BALANCER = "LoadBalancer"
    EXTERNAL_NAME = "ExternalName"


class ObjectKey(NamedTuple):
    """Namespace and name of an object; an empty namespace for cluster-wide ones."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}" if self.namespace else self.name


class ServicePort(NamedTuple):
    """One entry of ``spec.ports``."""

    name: str
    """Empty for the only port of a Service."""
    protocol: str
    """tcp, udp or sctp."""
    port: int
    node_port: int
    """0 without one."""


@dataclass(frozen=True, slots=True)
class Service:
    """A Service, as far as its rules depend on it. Addresses are of both families."""

    key: ObjectKey
    type: ServiceType
    ports: tuple[ServicePort, ...]
    cluster_ips: tuple[str, ...]
    """Empty for a headless Service."""
    external_ips: tuple[str, ...] = ()
    ingress_ips: tuple[str, ...] = ()
    """``status.loadBalancer.ingress`` with ipMode VIP (the default); mode Proxy is left out."""
    source_ranges: tuple[str, ...] = ()
    internal_traffic_policy: TrafficPolicy = TrafficPolicy.CLUSTER
    external_traffic_policy: TrafficPolicy = TrafficPolicy.CLUSTER
    affinity_seconds: int | None = None
    """Time-out of sessionAffinity ClientIP; None without affinity."""
    health_check_node_port: int = 0
    proxy_name: str = ""
    """Label ``service.kubernetes.io/service-proxy-name``: another proxy serves it if set."""

    @property
    def is_proxied(self) -> bool:
        """Whether this agent serves it at all."""
        return (
            bool(self.cluster_ips)
            and self.type is not ServiceType.EXTERNAL_NAME
            and not self.proxy_name
        )


class SlicePort(NamedTuple):
    """One entry of a slice's ``ports`` that has a number."""

    name: str
    port: int


class SliceEndpoint(NamedTuple):
    """One entry of a slice's ``endpoints``; only its first address counts."""

    address: str
    node_name: str = ""
    ready: bool = True
    serving: bool = True
    terminating: bool = False
    zone_hints: tuple[str, ...] = ()
    node_hints: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class EndpointSlice:
    """An EndpointSlice of addressType IPv4 or IPv6."""

    key: ObjectKey
    service: ObjectKey
    family: Family
    ports: tuple[SlicePort, ...]
    endpoints: tuple[SliceEndpoint, ...]
    changed_at: float | None = None
    """When what it tells came about, in seconds since the epoch, as far as its maker says."""


@dataclass(frozen=True, slots=True)
class Node:
    """The node that the rules are for."""

    name: str
    addresses: tuple[str, ...] = ()
    """Its InternalIPs, else its ExternalIPs; of both families, the primary one first."""
    pod_cidrs: tuple[str, ...] = ()
    zone: str = ""
    """Label ``topology.kubernetes.io/zone``."""
    is_leaving: bool = False
    """Whether it is being deleted, or the cluster autoscaler is about to: its rules stay the same,
    but load balancers are told to send no more."""


class ServiceState(NamedTuple):
    """All that the rules of one Service depend on, besides the node."""

    service: Service
    slices: tuple[EndpointSlice, ...]
