# SPDX-License-Identifier: Apache-2.0
"""Random clusters and options, small enough to collide often.

Addresses, names and ports come from short lists, so that slices disagree about an address, Services
share VIPs, and changes hit what is there. Most Services are served and most slices are of use, and
of one family, or the laws would mostly be tried on nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from rules.affinity import AffinityBackend
from rules.context import DetectLocalMode, FamilyContext, ProxyOptions, family_context
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
from tests.address_plan import (
    IPV4,
    IPV6,
    OTHER_NODE,
    OTHER_ZONE,
    PLANS,
    THIS_NODE,
    ZONE,
    AddressPlan,
)

_SERVICE_KEYS = [ObjectKey("a", "x"), ObjectKey("a", "y"), ObjectKey("b", "x")]
_T = TypeVar("_T")
_SLICE_NAMES = ["s-1", "s-2", "s-3", "s-4"]
_PORT_NAMES = ["http", "dns", "sip"]
_RANGES = [
    network
    for plan in PLANS
    for network in (plan.client_network, plan.node_network, plan.everywhere)
]

keys = st.sampled_from(_SERVICE_KEYS)
_usually = st.sampled_from([True, True, True, False])
_seldom = st.sampled_from([False, False, False, True])
_policies = st.sampled_from(TrafficPolicy)
_hints = st.lists(st.sampled_from([ZONE, OTHER_ZONE]), max_size=2, unique=True).map(tuple)
_nodes = st.lists(st.sampled_from([THIS_NODE, OTHER_NODE]), max_size=1).map(tuple)


def _some(*choices: str, most: int = 2) -> SearchStrategy[tuple[str, ...]]:
    return st.lists(st.sampled_from(choices), max_size=most, unique=True).map(tuple)


def _mostly(usual: _T, *others: _T) -> SearchStrategy[_T]:
    """``usual`` in at least three of four cases."""
    return st.sampled_from([usual] * 3 * len(others) + list(others))


@st.composite
def _service_ports(draw: DrawFn) -> tuple[ServicePort, ...]:
    count = draw(st.sampled_from([1, 2, 1, 2, 0]))
    names = draw(st.permutations(_PORT_NAMES))[:count] if count > 1 else [""] * count
    return tuple(
        ServicePort(
            name,
            draw(st.sampled_from(["tcp", "udp", "sctp"])),
            80 + index,
            draw(st.sampled_from([0, 30080 + index])),
        )
        for index, name in enumerate(names)
    )


def services() -> SearchStrategy[Service]:
    """Services of every kind, also those that are not served."""
    return st.builds(
        Service,
        key=keys,
        type=_mostly(ServiceType.LOAD_BALANCER, *ServiceType),
        ports=_service_ports(),
        cluster_ips=_mostly(
            (IPV4.cluster_ip, IPV6.cluster_ip), (IPV6.other_cluster_ip,), (IPV4.cluster_ip,), ()
        ),
        external_ips=_some(IPV4.external_ip, IPV6.external_ip),
        ingress_ips=_some(IPV4.ingress_ip, IPV6.ingress_ip, IPV4.other_ingress_ip),
        source_ranges=_some(*_RANGES),
        internal_traffic_policy=_policies,
        external_traffic_policy=_policies,
        affinity_seconds=st.sampled_from([None, 60, 10800]),
        health_check_node_port=st.sampled_from([0, 32000]),
        proxy_name=_mostly("", "another-proxy"),
    )


def endpoints(plan: AddressPlan) -> SearchStrategy[tuple[SliceEndpoint, ...]]:
    """The endpoints of one slice, in all conditions, on this node, another or none."""
    addresses = [plan.local_pod, plan.other_local_pod, plan.remote_pod, plan.other_remote_pod]
    endpoint = st.builds(
        SliceEndpoint,
        address=st.sampled_from(addresses),
        node_name=st.sampled_from([THIS_NODE, OTHER_NODE, ""]),
        ready=_usually,
        serving=_usually,
        terminating=_seldom,
        zone_hints=_hints,
        node_hints=_nodes,
    )
    return st.lists(endpoint, min_size=1, max_size=5).map(tuple)


@st.composite
def slices(draw: DrawFn, owners: SearchStrategy[ObjectKey] = keys) -> EndpointSlice:
    """Slices of either family, of Services that may not exist."""
    plan = draw(_mostly(IPV4, IPV6))
    owner = draw(owners)
    all_names = ("", *_PORT_NAMES)
    names = draw(_mostly(all_names, (), ("",), _PORT_NAMES[:2]))
    numbers = st.sampled_from([80, 8080])
    return EndpointSlice(
        ObjectKey(owner.namespace, draw(st.sampled_from(_SLICE_NAMES))),
        owner,
        plan.family,
        tuple(SlicePort(name, draw(numbers)) for name in names),
        draw(st.one_of(endpoints(plan), endpoints(plan), endpoints(plan), st.just(()))),
    )


@dataclass(frozen=True, slots=True)
class Cluster:
    """Everything in a cluster that rules are made of; each key once."""

    services: dict[ObjectKey, Service]
    slices: dict[ObjectKey, EndpointSlice]

    def states(self) -> dict[ObjectKey, ServiceState]:
        """Each Service with its slices, in the order of this cluster's own dictionaries."""
        return {
            key: ServiceState(
                service, tuple(one for one in self.slices.values() if one.service == key)
            )
            for key, service in self.services.items()
        }


@st.composite
def clusters(draw: DrawFn) -> Cluster:
    """Services with slices of their own, and some slices that may be anybody's."""
    some_services = draw(st.lists(services(), max_size=3, unique_by=lambda one: one.key))
    some_slices = draw(st.lists(slices(), max_size=3))
    for service in some_services:
        some_slices += draw(st.lists(slices(st.just(service.key)), min_size=1, max_size=3))
    return Cluster({one.key: one for one in some_services}, {one.key: one for one in some_slices})


@st.composite
def contexts(draw: DrawFn) -> FamilyContext:
    """Any combination of options, on a node with addresses of both families."""
    options = draw(
        st.builds(
            ProxyOptions,
            masquerade_bit=st.sampled_from([14, 0]),
            masquerade_all=st.booleans(),
            detect_local_mode=st.sampled_from(DetectLocalMode),
            cluster_cidrs=_some(IPV4.cluster_cidr, IPV6.cluster_cidr),
            bridge_interface=st.sampled_from(["", "cni0"]),
            interface_name_prefix=st.sampled_from(["", "veth"]),
            localhost_node_ports=st.booleans(),
            restrict_node_ports=st.booleans(),
            strict_source_ranges=st.booleans(),
            drop_invalid=st.booleans(),
            affinity_backend=st.sampled_from(AffinityBackend),
        )
    )
    addresses = (IPV4.node_ip, IPV6.node_ip)
    node = Node(THIS_NODE, addresses, (IPV4.node_cidr,), zone=draw(st.sampled_from(["", ZONE])))
    local = draw(_some(*addresses, IPV4.loopback, IPV6.loopback, most=4))
    family = draw(_mostly(Family.IPV4, Family.IPV6))
    return family_context(options, node, family, local, is_large=draw(st.booleans()))
