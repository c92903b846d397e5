# SPDX-License-Identifier: Apache-2.0
"""Which error each wrong field gives, and that nothing else is ever raised."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataplane.errors import UnusableObjectError
from dataplane.sources.decode import decode_node, decode_service, decode_slice, identify
from rules.model import ObjectKey
from tests.apiserver import objects
from tests.apiserver.store import JsonObject

WHERE = "web.yaml (document 1)"
RANGES_ANNOTATION = "service.beta.kubernetes.io/load-balancer-source-ranges"


def _changed(one: JsonObject, path: str, value: object) -> JsonObject:
    """``one`` with the field at ``path`` (keys and indexes, separated by dots) set to ``value``."""
    target: Any = one
    *keys, last = [int(key) if key.isdigit() else key for key in path.split("/")]
    for key in keys:
        target = target[key]
    target[last] = value
    return one


def _error(decode: Any, one: object) -> tuple[str, str]:  # noqa: ANN401 - any of the decoders
    with pytest.raises(UnusableObjectError) as caught:
        decode(one, WHERE)
    assert caught.value.where == WHERE
    return caught.value.field, caught.value.reason


@pytest.mark.parametrize(
    ("path", "value", "field", "reason"),
    [
        ("spec/ports/0/port", 0, "spec.ports[0].port", "Expected `int` >= 1"),
        ("spec/ports/0/port", 65536, "spec.ports[0].port", "Expected `int` <= 65535"),
        ("spec/ports/0/port", "80", "spec.ports[0].port", "Expected `int`, got `str`"),
        ("spec/ports/0/port", None, "spec.ports[0].port", "Expected `int`, got `null`"),
        ("spec/ports/0/nodePort", -1, "spec.ports[0].nodePort", "Expected `int` >= 0"),
        ("spec/ports/0/protocol", "tcp", "spec.ports[0].protocol", "Invalid enum value 'tcp'"),
        ("spec/ports/0/name", "HTTP", "spec.ports[0].name", "'HTTP' is not a name"),
        ("spec/ports/0/name", "x" * 64, "spec.ports[0].name", "too long: 64 characters"),
        ("spec/ports", [{"port": 1}, {"port": 2}], "spec.ports[1].name", "stands twice"),
        (
            "spec/ports",
            [{"name": "a", "port": 80}, {"name": "b", "port": 80}],
            "spec.ports[1].port",
            "80/tcp stands twice",
        ),
        ("spec/ports", {}, "spec.ports", "Expected `array"),
        ("spec/type", "Cluster", "spec.type", "Invalid enum value 'Cluster'"),
        ("spec/clusterIPs", ["10.96.0.256"], "spec.clusterIPs[0]", "is not an IP address"),
        ("spec/clusterIPs", ["10.96.0.010"], "spec.clusterIPs[0]", "is not an IP address"),
        ("spec/clusterIPs", ["10.96.1"], "spec.clusterIPs[0]", "is not an IP address"),
        ("spec/clusterIPs", ["10.96.0.1 "], "spec.clusterIPs[0]", "is not an IP address"),
        ("spec/clusterIPs", ["10.96.0.1\0"], "spec.clusterIPs[0]", "is not an IP address"),
        ("spec/clusterIPs", ["10.0.0.1", "fe80::1%eth0"], "spec.clusterIPs[1]", "is not an IP"),
        ("spec/clusterIPs", ["::ffff:10.0.0.1"], "spec.clusterIPs[0]", "written as the IPv4"),
        ("spec/externalIPs", ["a.example"], "spec.externalIPs[0]", "is not an IP address"),
        ("spec/internalTrafficPolicy", "Node", "spec.internalTrafficPolicy", "Invalid enum"),
        ("spec/externalTrafficPolicy", "", "spec.externalTrafficPolicy", "Invalid enum"),
        ("spec/healthCheckNodePort", 65536, "spec.healthCheckNodePort", "<= 65535"),
        ("spec/sessionAffinity", "Cookie", "spec.sessionAffinity", "Invalid enum"),
        (
            "spec/sessionAffinityConfig",
            {"clientIP": {"timeoutSeconds": 86401}},
            "spec.sessionAffinityConfig.clientIP.timeoutSeconds",
            "<= 86400",
        ),
        (
            "spec/sessionAffinityConfig",
            {"clientIP": {"timeoutSeconds": 0}},
            "spec.sessionAffinityConfig.clientIP.timeoutSeconds",
            ">= 1",
        ),
        (
            "status/loadBalancer",
            {"ingress": [{"ip": "198.51.100.1"}, {"ip": "lb"}]},
            "status.loadBalancer.ingress[1].ip",
            "is not an IP address",
        ),
        (
            "status/loadBalancer",
            {"ingress": [{"ip": "198.51.100.1", "ipMode": "NAT"}]},
            "status.loadBalancer.ingress[0].ipMode",
            "Invalid enum",
        ),
        ("metadata/name", "w" * 64, "metadata.name", "too long: 64 characters, 63 allowed"),
        ("metadata/name", "Web", "metadata.name", "'Web' is not a name"),
        ("metadata/name", "web\n", "metadata.name", "is not a name"),
        ("metadata/name", "", "metadata.name", "'' is not a name"),
        ("metadata/name", 7, "metadata.name", "Expected `str`, got `int`"),
        ("metadata/namespace", "n" * 64, "metadata.namespace", "too long"),
        ("metadata/labels", {"a": 1}, "metadata.labels[...]", "Expected `str`, got `int`"),
        ("spec", None, "spec", "Expected `object`, got `null`"),
        ("metadata", None, "metadata", "Expected `object`, got `null`"),
    ],
)
def test_wrong_service_field(path: str, value: object, field: str, reason: str) -> None:
    """Each wrong field of a Service is refused by its path, from JSON and from YAML alike."""
    one = _changed(objects.service(type="LoadBalancer"), path, value)
    assert _error(decode_service, one)[0] == field
    got_field, got_reason = _error(decode_service, json.dumps(one).encode())
    assert got_field == field
    assert reason in got_reason


@pytest.mark.parametrize(
    "text",
    [
        "203.0.113.0",
        "203.0.113.0/33",
        "203.0.113.0/255.255.255.0",
        "203.0.113.0/",
        "203.0.113.0/-1",
        "203.0.113.0/٢٤",
        "2001:db8::/129",
        "/24",
        "",
        "all",
    ],
)
def test_wrong_source_range(text: str) -> None:
    """Only an address with a prefix length is a range; the field names the one that is not."""
    one = objects.service(type="LoadBalancer", loadBalancerSourceRanges=["192.0.2.0/24", text])
    assert _error(decode_service, one)[0] == "spec.loadBalancerSourceRanges[1]"
    annotated = objects.service(type="LoadBalancer")
    annotated["metadata"]["annotations"] = {RANGES_ANNOTATION: f"192.0.2.0/24,{text}"}
    assert _error(decode_service, annotated)[0] == f"metadata.annotations[{RANGES_ANNOTATION}][1]"


def test_message_names_place_object_field_and_reason() -> None:
    """The message of an error reads from the place to the reason."""
    with pytest.raises(UnusableObjectError) as caught:
        decode_service(objects.service(ports=[{"port": 0}]), WHERE)
    assert str(caught.value) == (
        "web.yaml (document 1): Service default/web: spec.ports[0].port: Expected `int` >= 1"
    )


@pytest.mark.parametrize(
    ("path", "value", "field"),
    [
        ("addressType", "IPv5", "addressType"),
        ("endpoints/0/addresses", [], "endpoints[0].addresses"),
        ("endpoints/0/addresses", None, "endpoints[0].addresses"),
        ("endpoints/0/addresses", ["10.244.1"], "endpoints[0].addresses[0]"),
        ("endpoints/0/addresses", ["fd00::1"], "endpoints[0].addresses[0]"),
        ("endpoints/0/addresses", "10.244.1.2", "endpoints[0].addresses"),
        ("endpoints/0/conditions", {"ready": "yes"}, "endpoints[0].conditions.ready"),
        ("endpoints/0/hints", {"forZones": [{}]}, "endpoints[0].hints.forZones[0]"),
        ("ports/0/port", 65536, "ports[0].port"),
        ("ports/0/protocol", "ICMP", "ports[0].protocol"),
        ("ports/0/name", "a b", "ports[0].name"),
        ("ports", [{"name": "a"}, {"name": "a"}], "ports[1].name"),
        ("metadata/name", "n" * 254, "metadata.name"),
        ("metadata/name", "web..1", "metadata.name"),
        ("metadata/namespace", "a.b", "metadata.namespace"),
    ],
)
def test_wrong_slice_field(path: str, value: object, field: str) -> None:
    """Each wrong field of an EndpointSlice is refused by its path."""
    one = _changed(objects.endpoint_slice(), path, value)
    assert _error(decode_slice, one)[0] == field
    assert _error(decode_slice, json.dumps(one).encode())[0] == field


@pytest.mark.parametrize(
    ("path", "value", "field"),
    [
        ("status/addresses/1/address", "192.0.2.300", "status.addresses[1].address"),
        ("spec/podCIDRs", ["10.244.1.0/24", "x"], "spec.podCIDRs[1]"),
        ("metadata/name", "Node", "metadata.name"),
        ("metadata/name", "n" * 254, "metadata.name"),
    ],
)
def test_wrong_node_field(path: str, value: object, field: str) -> None:
    """Each wrong field of a Node is refused by its path."""
    assert _error(decode_node, _changed(objects.node(), path, value))[0] == field


def test_wrong_single_pod_cidr() -> None:
    """A wrong podCIDR is refused where there are no podCIDRs."""
    one = objects.node() | {"spec": {"podCIDR": "10.244.1.0"}}
    assert _error(decode_node, one)[0] == "spec.podCIDR"


@pytest.mark.parametrize(
    "text",
    [b"", b"{", b"[]", b"null", b"\xff", b'"\xff"', b"[" * 100_000, b'{"metadata":{"name":1}}'],
)
def test_text_that_is_no_object(text: bytes) -> None:
    """What is not even an object is refused as a whole, and has no identity."""
    with pytest.raises(UnusableObjectError, match="Service: ") as caught:
        decode_service(text, WHERE)
    assert (caught.value.kind, caught.value.key) == ("Service", None)
    assert identify(text) is None


def test_identity_of_a_bad_object() -> None:
    """An object is known by name although its other fields, even its labels, are wrong."""
    one = {"metadata": {"name": "web", "labels": 3}, "spec": 4}
    assert identify(one) == ObjectKey("default", "web")
    assert identify(one, namespaced=False) == ObjectKey("", "web")


_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
_FIELDS = st.sampled_from(
    [
        "metadata/name",
        "metadata/namespace",
        "metadata/labels",
        "metadata",
        "spec",
        "spec/ports",
        "spec/ports/0/port",
        "spec/ports/0/name",
        "spec/clusterIPs",
        "spec/clusterIPs/0",
        "spec/loadBalancerSourceRanges",
        "spec/podCIDRs",
        "status",
        "addressType",
        "endpoints",
        "endpoints/0/addresses/0",
        "endpoints/0/hints",
        "ports",
        "status/addresses/1/address",
    ]
)


@pytest.mark.parametrize("decode", [decode_service, decode_slice, decode_node])
@given(one=_JSON | st.binary())
def test_garbage_raises_only_the_typed_error(decode: Any, one: Any) -> None:  # noqa: ANN401 - any
    """Whatever JSON, YAML or bytes come, a decoder returns or raises UnusableObjectError."""
    for raw in (one, one if isinstance(one, bytes) else json.dumps(one).encode()):
        with pytest.raises(UnusableObjectError):
            decode(raw, WHERE)


@pytest.mark.parametrize(
    ("decode", "make"),
    [
        (decode_service, objects.service),
        (decode_slice, objects.endpoint_slice),
        (decode_node, objects.node),
    ],
)
@given(path=_FIELDS, value=_JSON)
def test_garbage_in_a_field_raises_only_the_typed_error(
    decode: Any,  # noqa: ANN401 - any of the decoders
    make: Any,  # noqa: ANN401 - any of the makers
    path: str,
    value: Any,  # noqa: ANN401 - JSON
) -> None:
    """An object with anything at all in one field is decoded or refused, the same from JSON."""
    try:
        one = _changed(make(), path, value)
    except (KeyError, TypeError, IndexError):
        return
    outcomes = []
    for raw in (one, json.dumps(one).encode()):
        try:
            outcomes.append(decode(raw, WHERE))
        except UnusableObjectError as error:
            outcomes.append(error.field)
    assert outcomes[0] == outcomes[1]
