# SPDX-License-Identifier: Apache-2.0
"""The made-up cluster as objects of the API."""

from __future__ import annotations

import json
from dataclasses import replace

from bench.cluster.manifests import (
    endpoints_of,
    namespaces_of,
    node_manifest,
    service_manifest,
    slice_manifest,
    status_of,
)
from bench.objects import Shape, make_cluster, without_first_endpoint
from dataplane.sources.decode import decode_node, decode_service, decode_slice

_CLUSTER = make_cluster(Shape(20, 10))


def test_services_are_decoded_to_what_they_were_made_of() -> None:
    """Nothing that rules depend on is lost on the way through the API, for each kind of Service."""
    for service in _CLUSTER.services:
        manifest = service_manifest(service) | status_of(service)
        assert decode_service(json.dumps(manifest).encode(), "here") == service


def test_slices_are_decoded_to_what_they_were_made_of() -> None:
    """Endpoints that are not ready among them."""
    for whole, service in zip(_CLUSTER.slices, _CLUSTER.services, strict=True):
        for one in (whole, without_first_endpoint(whole)):
            raw = json.dumps(slice_manifest(one, service)).encode()
            assert decode_slice(raw, "here") == one


def test_ports_of_slices_have_the_protocol_of_their_service() -> None:
    """kube-proxy looks for endpoints by protocol as well."""
    protocols = {
        slice_manifest(one, service)["ports"][0]["protocol"]
        for one, service in zip(_CLUSTER.slices, _CLUSTER.services, strict=True)
    }
    assert protocols == {"TCP", "UDP"}


def test_a_merge_patch_names_endpoints_only() -> None:
    """All of them: a list is replaced as a whole."""
    whole = _CLUSTER.slices[0]
    assert list(endpoints_of(whole)) == ["endpoints"]
    assert len(endpoints_of(whole)["endpoints"]) == 10
    assert endpoints_of(replace(whole, endpoints=())) == {"endpoints": []}


def test_the_node_is_decoded_to_what_it_was_made_of() -> None:
    """Its addresses included."""
    assert decode_node(json.dumps(node_manifest(_CLUSTER.node)).encode(), "here") == _CLUSTER.node


def test_each_namespace_is_created_once() -> None:
    """Those that Services are in."""
    names = [namespace["metadata"]["name"] for namespace in namespaces_of(_CLUSTER)]
    assert len(names) == len(set(names))
    assert set(names) == {service.key.namespace for service in _CLUSTER.services}
