# SPDX-License-Identifier: Apache-2.0
"""The made-up cluster of :mod:`bench.objects` as objects of the API."""

from __future__ import annotations

from collections.abc import Iterator

from bench.objects import TARGET_PORT, Cluster
from kube.control_plane import JsonObject
from rules.model import EndpointSlice, Node, Service, SliceEndpoint, TrafficPolicy


def service_manifest(service: Service) -> JsonObject:
    """A Service without its status."""
    (port,) = service.ports
    spec: JsonObject = {
        "type": service.type.value,
        "clusterIP": service.cluster_ips[0],
        "clusterIPs": list(service.cluster_ips),
        "ports": [
            {"port": port.port, "protocol": port.protocol.upper(), "targetPort": TARGET_PORT}
        ],
    }
    if port.node_port:
        spec["ports"][0]["nodePort"] = port.node_port
    if service.source_ranges:
        spec["loadBalancerSourceRanges"] = list(service.source_ranges)
    if service.external_traffic_policy is TrafficPolicy.LOCAL:
        spec["externalTrafficPolicy"] = service.external_traffic_policy.value
        spec["healthCheckNodePort"] = service.health_check_node_port
    if service.affinity_seconds is not None:
        spec["sessionAffinity"] = "ClientIP"
        spec["sessionAffinityConfig"] = {"clientIP": {"timeoutSeconds": service.affinity_seconds}}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"namespace": service.key.namespace, "name": service.key.name},
        "spec": spec,
    }


def status_of(service: Service) -> JsonObject:
    """The addresses that a load balancer gave it, as a merge patch; empty if none did."""
    ingress = [{"ip": address} for address in service.ingress_ips]
    return {"status": {"loadBalancer": {"ingress": ingress}}} if ingress else {}


def slice_manifest(endpoint_slice: EndpointSlice, service: Service) -> JsonObject:
    """The slice of ``service``."""
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "namespace": endpoint_slice.key.namespace,
            "name": endpoint_slice.key.name,
            "labels": {"kubernetes.io/service-name": service.key.name},
        },
        "addressType": "IPv4",
        "ports": [
            {"name": port.name, "port": port.port, "protocol": service.ports[0].protocol.upper()}
            for port in endpoint_slice.ports
        ],
        **endpoints_of(endpoint_slice),
    }


def endpoints_of(endpoint_slice: EndpointSlice) -> JsonObject:
    """All endpoints of a slice, also as a merge patch."""
    return {"endpoints": [_endpoint(endpoint) for endpoint in endpoint_slice.endpoints]}


def node_manifest(node: Node) -> JsonObject:
    """A Node with its status."""
    addresses = [{"type": "InternalIP", "address": address} for address in node.addresses]
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": node.name},
        "spec": {},
        "status": {"addresses": [{"type": "Hostname", "address": node.name}, *addresses]},
    }


def namespaces_of(cluster: Cluster) -> Iterator[JsonObject]:
    """The namespaces that its Services are in."""
    for name in sorted({service.key.namespace for service in cluster.services}):
        yield {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def _endpoint(endpoint: SliceEndpoint) -> JsonObject:
    return {
        "addresses": [endpoint.address],
        "nodeName": endpoint.node_name,
        "conditions": {
            "ready": endpoint.ready,
            "serving": endpoint.serving,
            "terminating": endpoint.terminating,
        },
    }
