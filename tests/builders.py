# SPDX-License-Identifier: Apache-2.0
"""Short ways to make model values: a test names only what it is about."""

from __future__ import annotations

from dataclasses import replace
from typing import Final, TypedDict, Unpack

from rules.affinity import AffinityBackend
from rules.context import DetectLocalMode, FamilyContext, ProxyOptions, family_context
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
from tests.address_plan import OTHER_NODE, THIS_NODE, ZONE, AddressPlan

WEB: Final = ObjectKey("default", "web")
NODE_PORT: Final = 30956


class ServiceFields(TypedDict, total=False):
    """Fields of a Service that a test may name."""

    key: ObjectKey
    type: ServiceType
    ports: tuple[ServicePort, ...]
    cluster_ips: tuple[str, ...]
    external_ips: tuple[str, ...]
    ingress_ips: tuple[str, ...]
    source_ranges: tuple[str, ...]
    internal_traffic_policy: TrafficPolicy
    external_traffic_policy: TrafficPolicy
    affinity_seconds: int | None
    health_check_node_port: int
    proxy_name: str


class PodFields(TypedDict, total=False):
    """Fields of an endpoint that a test may name."""

    ready: bool
    serving: bool
    terminating: bool
    zone_hints: tuple[str, ...]
    node_hints: tuple[str, ...]


class OptionFields(TypedDict, total=False):
    """Options that a test may name."""

    masquerade_bit: int
    drop_bit: int
    masquerade_all: bool
    detect_local_mode: DetectLocalMode
    cluster_cidrs: tuple[str, ...]
    bridge_interface: str
    interface_name_prefix: str
    localhost_node_ports: bool
    restrict_node_ports: bool
    strict_source_ranges: bool
    drop_invalid: bool
    affinity_backend: AffinityBackend


def service_port(
    number: int = 80, *, name: str = "", protocol: str = "tcp", node_port: int = 0
) -> ServicePort:
    """A service port: 80/tcp without a name or a node port."""
    return ServicePort(name, protocol, number, node_port)


def service(plan: AddressPlan, **fields: Unpack[ServiceFields]) -> Service:
    """The Service default/web, with a cluster IP only."""
    base = Service(WEB, ServiceType.CLUSTER_IP, (service_port(),), (plan.cluster_ip,))
    return replace(base, **fields)


def local(address: str, **fields: Unpack[PodFields]) -> SliceEndpoint:
    """An endpoint on this node, ready."""
    return SliceEndpoint(address, THIS_NODE)._replace(**fields)


def remote(address: str, **fields: Unpack[PodFields]) -> SliceEndpoint:
    """An endpoint on another node, ready."""
    return SliceEndpoint(address, OTHER_NODE)._replace(**fields)


def endpoint_slice(
    plan: AddressPlan,
    *endpoints: SliceEndpoint,
    name: str = "web-1",
    owner: ObjectKey = WEB,
    ports: tuple[SlicePort, ...] = (SlicePort("", 80),),
) -> EndpointSlice:
    """A slice of default/web whose pods listen on port 80."""
    return EndpointSlice(ObjectKey(owner.namespace, name), owner, plan.family, ports, endpoints)


def state(
    plan: AddressPlan, *endpoints: SliceEndpoint, **fields: Unpack[ServiceFields]
) -> ServiceState:
    """The Service that :func:`service` makes, with ``endpoints`` in one slice."""
    made = service(plan, **fields)
    return ServiceState(made, (endpoint_slice(plan, *endpoints, owner=made.key),))


def node(*plans: AddressPlan) -> Node:
    """This node, with addresses of the families of ``plans``."""
    return Node(
        THIS_NODE,
        addresses=tuple(plan.node_ip for plan in plans),
        pod_cidrs=tuple(plan.node_cidr for plan in plans),
        zone=ZONE,
    )


def context(
    plan: AddressPlan,
    *,
    node_port_addresses: tuple[str, ...] = (),
    is_large: bool = False,
    **fields: Unpack[OptionFields],
) -> FamilyContext:
    """This node in one family; local pods are told by the cluster CIDR."""
    options = replace(ProxyOptions(cluster_cidrs=(plan.cluster_cidr,)), **fields)
    return family_context(options, node(plan), plan.family, node_port_addresses, is_large=is_large)
