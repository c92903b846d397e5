# SPDX-License-Identifier: Apache-2.0
"""What API objects decode to; those that are refused are in test_decode_errors."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from dataplane.sources.decode import decode_node, decode_service, decode_slice
from rules.ir import Family
from rules.model import (
    EndpointSlice,
    Node,
    ObjectKey,
    Service,
    ServicePort,
    ServiceType,
    SliceEndpoint,
    SlicePort,
    TrafficPolicy,
)
from tests.apiserver import objects

WHERE = "web.yaml (document 1)"
RANGES_ANNOTATION = "service.beta.kubernetes.io/load-balancer-source-ranges"


def _service(**spec: Any) -> Service:  # noqa: ANN401 - JSON
    return decode_service(objects.service(**spec), WHERE)


def test_plain_service() -> None:
    """A ClusterIP Service decodes to its key, port and address, the rest at the defaults."""
    assert _service() == Service(
        key=ObjectKey("default", "web"),
        type=ServiceType.CLUSTER_IP,
        ports=(ServicePort("", "tcp", 80, 0),),
        cluster_ips=("10.96.0.10",),
    )


def test_full_load_balancer() -> None:
    """Every field of a LoadBalancer Service is taken."""
    one = objects.service(
        type="LoadBalancer",
        clusterIPs=["10.96.0.10", "FD00:0:0::000A"],
        ports=[
            {"name": "http", "port": 80, "nodePort": 30080},
            {"name": "dns", "port": 80, "protocol": "UDP", "nodePort": 30053},
            {"name": "sig", "port": 81, "protocol": "SCTP"},
        ],
        externalIPs=["198.51.100.7", "198.51.100.7"],
        loadBalancerSourceRanges=[" 203.0.113.9/24 ", "2001:DB8::1/32"],
        internalTrafficPolicy="Local",
        externalTrafficPolicy="Local",
        healthCheckNodePort=31000,
        sessionAffinity="ClientIP",
        sessionAffinityConfig={"clientIP": {"timeoutSeconds": 60}},
    )
    one["status"] = {
        "loadBalancer": {
            "ingress": [
                {"ip": "198.51.100.1"},
                {"ip": "198.51.100.2", "ipMode": "VIP"},
                {"ip": "198.51.100.3", "ipMode": "Proxy"},
                {"hostname": "lb.example.com"},
            ]
        }
    }
    assert decode_service(one, WHERE) == Service(
        key=ObjectKey("default", "web"),
        type=ServiceType.LOAD_BALANCER,
        ports=(
            ServicePort("http", "tcp", 80, 30080),
            ServicePort("dns", "udp", 80, 30053),
            ServicePort("sig", "sctp", 81, 0),
        ),
        cluster_ips=("10.96.0.10", "fd00::a"),
        external_ips=("198.51.100.7",),
        ingress_ips=("198.51.100.1", "198.51.100.2"),
        source_ranges=("203.0.113.0/24", "2001:db8::/32"),
        internal_traffic_policy=TrafficPolicy.LOCAL,
        external_traffic_policy=TrafficPolicy.LOCAL,
        affinity_seconds=60,
        health_check_node_port=31000,
    )


def test_fields_of_other_types_do_not_count() -> None:
    """On a ClusterIP Service, what belongs to node ports and load balancers is left out."""
    one = objects.service(
        ports=[{"port": 80, "nodePort": 30080}],
        loadBalancerSourceRanges=["203.0.113.0/24"],
        externalTrafficPolicy="Local",
        healthCheckNodePort=31000,
    )
    one["status"] = {"loadBalancer": {"ingress": [{"ip": "198.51.100.1"}]}}
    assert decode_service(one, WHERE) == _service()


@pytest.mark.parametrize(
    ("spec", "policy", "health_port"),
    [
        ({"type": "ClusterIP"}, TrafficPolicy.CLUSTER, 0),
        ({"type": "ClusterIP", "externalIPs": ["192.0.2.1"]}, TrafficPolicy.LOCAL, 0),
        ({"type": "NodePort"}, TrafficPolicy.LOCAL, 0),
        ({"type": "LoadBalancer"}, TrafficPolicy.LOCAL, 31000),
    ],
)
def test_local_policy_needs_an_outside_address(
    spec: dict[str, Any], policy: TrafficPolicy, health_port: int
) -> None:
    """External policy Local counts for reachable Services, its check for LoadBalancers."""
    service = _service(externalTrafficPolicy="Local", healthCheckNodePort=31000, **spec)
    assert (service.external_traffic_policy, service.health_check_node_port) == (
        policy,
        health_port,
    )


@pytest.mark.parametrize(
    ("spec", "cluster_ips"),
    [
        ({"clusterIP": "None", "clusterIPs": ["None"]}, ()),
        ({"clusterIP": "None", "clusterIPs": None}, ()),
        ({"clusterIP": "", "clusterIPs": [""]}, ()),
        ({"clusterIP": None, "clusterIPs": None}, ()),
        ({"clusterIP": "10.96.0.9", "clusterIPs": []}, ("10.96.0.9",)),
        ({"clusterIP": "10.96.0.9", "clusterIPs": ["fd00::9"]}, ("fd00::9",)),
    ],
)
def test_cluster_ips(spec: dict[str, Any], cluster_ips: tuple[str, ...]) -> None:
    """The list clusterIPs wins over clusterIP; a headless Service has no cluster IP."""
    assert _service(**spec).cluster_ips == cluster_ips


def test_labels_that_exclude_a_service() -> None:
    """The headless label takes the cluster IPs away; the proxy's name is kept."""
    one = objects.service()
    one["metadata"]["labels"] = {"service.kubernetes.io/headless": ""}
    assert decode_service(one, WHERE).cluster_ips == ()
    one["metadata"]["labels"] = {"service.kubernetes.io/service-proxy-name": "other"}
    assert decode_service(one, WHERE).proxy_name == "other"
    assert not decode_service(one, WHERE).is_proxied


def test_source_ranges_annotation() -> None:
    """The old annotation counts only when the field is empty."""
    one = objects.service(type="LoadBalancer")
    one["metadata"]["annotations"] = {RANGES_ANNOTATION: "203.0.113.0/24, 198.51.100.0/24"}
    assert decode_service(one, WHERE).source_ranges == ("203.0.113.0/24", "198.51.100.0/24")
    one["metadata"]["annotations"] = {RANGES_ANNOTATION: " "}
    assert decode_service(one, WHERE).source_ranges == ()
    one["metadata"]["annotations"] = {RANGES_ANNOTATION: "192.0.2.0/24"}
    one["spec"]["loadBalancerSourceRanges"] = ["203.0.113.0/24"]
    assert decode_service(one, WHERE).source_ranges == ("203.0.113.0/24",)


@pytest.mark.parametrize(
    "config", [None, {}, {"clientIP": None}, {"clientIP": {"timeoutSeconds": None}}]
)
def test_affinity_lasts_three_hours_by_default(config: object) -> None:
    """Session affinity without a time-out has the API's default."""
    service = _service(sessionAffinity="ClientIP", sessionAffinityConfig=config)
    assert service.affinity_seconds == 10800


def test_missing_namespace_is_default() -> None:
    """An object without a namespace is in the namespace default."""
    one = objects.service()
    del one["metadata"]["namespace"]
    assert decode_service(one, WHERE).key == ObjectKey("default", "web")


def test_plain_slice() -> None:
    """An EndpointSlice decodes to its Service, family, ports and endpoints."""
    assert decode_slice(objects.endpoint_slice(), WHERE) == EndpointSlice(
        key=ObjectKey("default", "web-1"),
        service=ObjectKey("default", "web"),
        family=Family.IPV4,
        ports=(SlicePort("", 8080),),
        endpoints=(SliceEndpoint("10.244.1.2", "node-a"),),
    )


def test_full_slice() -> None:
    """Conditions, hints and ports are taken; a port without a number is left out."""
    one = objects.endpoint_slice()
    one["addressType"] = "IPv6"
    one["ports"] = [{"name": "http", "port": 8080}, {"name": "any", "port": None}, {"port": 9}]
    one["endpoints"] = [
        {
            "addresses": ["FD00:0::5", "ignored"],
            "nodeName": None,
            "conditions": {"ready": False, "serving": None, "terminating": True},
            "hints": {
                "forZones": [{"name": "zone-1"}, {"name": "zone-2"}],
                "forNodes": [{"name": "node-a"}],
            },
        },
        {
            "addresses": ["fd00::6"],
            "conditions": {"ready": None, "serving": False, "terminating": None},
            "hints": {"forZones": None},
        },
    ]
    decoded = decode_slice(one, WHERE)
    assert decoded is not None
    assert decoded.family is Family.IPV6
    assert decoded.ports == (SlicePort("http", 8080), SlicePort("", 9))
    assert decoded.endpoints == (
        SliceEndpoint("fd00::5", "", False, True, True, ("zone-1", "zone-2"), ("node-a",)),  # noqa: FBT003 - as a NamedTuple prints
        SliceEndpoint("fd00::6", serving=False),
    )


def test_empty_slice() -> None:
    """A slice may have neither ports nor endpoints, which the API writes as null."""
    one = objects.endpoint_slice() | {"ports": None, "endpoints": None}
    decoded = decode_slice(one, WHERE)
    assert decoded is not None
    assert (decoded.ports, decoded.endpoints) == ((), ())


@pytest.mark.parametrize(
    ("address_type", "labels"),
    [
        ("FQDN", {"kubernetes.io/service-name": "web"}),
        ("IPv4", None),
        ("IPv4", {"kubernetes.io/service-name": ""}),
        ("IPv4", {"kubernetes.io/service-name": "web", "service.kubernetes.io/headless": ""}),
        (
            "IPv4",
            {
                "kubernetes.io/service-name": "web",
                "service.kubernetes.io/service-proxy-name": "other",
            },
        ),
    ],
)
def test_slice_that_is_not_ours(address_type: str, labels: Mapping[str, str] | None) -> None:
    """Slices of names, of no Service, or for another proxy are none of this agent's."""
    one = objects.endpoint_slice() | {"addressType": address_type}
    one["metadata"]["labels"] = labels
    assert decode_slice(one, WHERE) is None


def test_long_slice_name() -> None:
    """Names of slices may be longer than those of Services, and may have dots."""
    name = ".".join(["n" * 63] * 3)
    decoded = decode_slice(objects.endpoint_slice(name), WHERE)
    assert decoded is not None
    assert decoded.key.name == name


def test_node() -> None:
    """A Node decodes to its InternalIPs, pod networks and zone."""
    assert decode_node(objects.node(), WHERE) == Node(
        "node-a", ("192.0.2.11", "2001:db8::11"), ("10.244.1.0/24", "fd00:1::/64"), "zone-1"
    )


def test_node_without_internal_ip() -> None:
    """A Node that has only ExternalIPs and one pod network is known by these."""
    one = objects.node()
    one["status"]["addresses"] = one["status"]["addresses"][-1:]
    one["spec"] = {"podCIDR": "10.244.1.0/24"}
    assert decode_node(one, WHERE) == Node(
        "node-a", ("198.51.100.11",), ("10.244.1.0/24",), "zone-1"
    )


def test_bare_node() -> None:
    """A Node that was just registered has nothing but its name."""
    assert decode_node({"metadata": {"name": "node-a"}}, WHERE) == Node("node-a")


@pytest.mark.parametrize(
    ("fields", "is_leaving"),
    [
        ({"spec": {"taints": [{"key": "ToBeDeletedByClusterAutoscaler", "effect": "x"}]}}, True),
        ({"spec": {"taints": [{"key": "node.kubernetes.io/unreachable"}]}}, False),
        ({"spec": {"taints": None}}, False),
        ({"metadata": {"name": "node-a", "deletionTimestamp": "2026-01-01T00:00:00Z"}}, True),
    ],
)
def test_leaving_node(fields: Mapping[str, Any], *, is_leaving: bool) -> None:
    """A Node is leaving if it is being deleted or the cluster autoscaler is about to."""
    assert decode_node({**objects.node(), **fields}, WHERE).is_leaving is is_leaving


def test_raw_json_of_a_list_is_decoded() -> None:
    """An item that msgspec left undecoded in a list can be decoded as it is."""
    raw = msgspec.Raw(json.dumps(objects.service()).encode())
    assert decode_service(raw, WHERE) == _service()
