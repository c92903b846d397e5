# SPDX-License-Identifier: Apache-2.0
"""API objects as JSON has them: complete ones, in which a test changes what it is about."""

from __future__ import annotations

from typing import Any

from tests.apiserver.store import JsonObject


def service(name: str = "web", namespace: str = "default", **spec: Any) -> JsonObject:  # noqa: ANN401 - JSON
    """A Service with one port; ``spec`` replaces fields of its spec."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "type": "ClusterIP",
            "clusterIP": "10.96.0.10",
            "clusterIPs": ["10.96.0.10"],
            "ports": [{"port": 80, "protocol": "TCP", "targetPort": 8080}],
        }
        | spec,
        "status": {"loadBalancer": {}},
    }


def endpoint_slice(
    name: str = "web-1", service_name: str = "web", address: str = "10.244.1.2"
) -> JsonObject:
    """An EndpointSlice with one port and one endpoint."""
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": name,
            "namespace": "default",
            "labels": {"kubernetes.io/service-name": service_name},
        },
        "addressType": "IPv4",
        "ports": [{"name": "", "port": 8080, "protocol": "TCP"}],
        "endpoints": [{"addresses": [address], "nodeName": "node-a"}],
    }


def node(name: str = "node-a") -> JsonObject:
    """A Node with addresses, pod networks and a zone."""
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": {"topology.kubernetes.io/zone": "zone-1"}},
        "spec": {"podCIDR": "10.244.1.0/24", "podCIDRs": ["10.244.1.0/24", "fd00:1::/64"]},
        "status": {
            "addresses": [
                {"type": "Hostname", "address": name},
                {"type": "InternalIP", "address": "192.0.2.11"},
                {"type": "InternalIP", "address": "2001:db8::11"},
                {"type": "ExternalIP", "address": "198.51.100.11"},
            ]
        },
    }
