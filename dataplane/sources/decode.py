# SPDX-License-Identifier: Apache-2.0
"""API objects as values of :mod:`rules.model`; the only place that knows how the API spells them.

An object that cannot be used raises UnusableObjectError, whatever is wrong with it. Where the API
and kube-proxy leave a choice, this follows kube-proxy: fields that do not apply to the Service's
type do not count, and objects that are labelled for another proxy are not this agent's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, TypeVar

import msgspec

from dataplane.errors import UnusableObjectError
from dataplane.sources import fields, wire
from dataplane.sources.fields import WrongFieldError
from rules.addresses import family_of
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

RawObject = bytes | msgspec.Raw | Mapping[str, Any]
"""An object as JSON text, or as YAML has it."""

SERVICE_NAME_LABEL: Final = "kubernetes.io/service-name"
PROXY_NAME_LABEL: Final = "service.kubernetes.io/service-proxy-name"
HEADLESS_LABEL: Final = "service.kubernetes.io/headless"
_CHANGE_ANNOTATION: Final = "endpoints.kubernetes.io/last-change-trigger-time"
_LEAVING_TAINT: Final = "ToBeDeletedByClusterAutoscaler"
_ZONE_LABEL: Final = "topology.kubernetes.io/zone"
_SOURCE_RANGES_ANNOTATION: Final = "service.beta.kubernetes.io/load-balancer-source-ranges"
_DEFAULT_NAMESPACE: Final = "default"
_DEFAULT_AFFINITY_SECONDS: Final = 10800
_FAMILIES: Final = {
    wire.AddressType.IPV4: Family.IPV4,
    wire.AddressType.IPV6: Family.IPV6,
}

_Wire = TypeVar("_Wire", bound=wire.Wire)
_Value = TypeVar("_Value")

_SERVICE: Final = msgspec.json.Decoder(wire.Service)
_SLICE: Final = msgspec.json.Decoder(wire.EndpointSlice)
_NODE: Final = msgspec.json.Decoder(wire.Node)
_IDENTIFIED: Final = msgspec.json.Decoder(wire.Identified)


def decode_service(raw: RawObject, where: str) -> Service:
    """The Service in ``raw``, which was found at ``where``."""
    return _decode(raw, where, "Service", _SERVICE, _service)


def decode_slice(raw: RawObject, where: str) -> EndpointSlice | None:
    """The EndpointSlice in ``raw``; None if it is not one that this agent has to serve."""
    return _decode(raw, where, "EndpointSlice", _SLICE, _slice)


def decode_node(raw: RawObject, where: str) -> Node:
    """The Node in ``raw``, which was found at ``where``."""
    return _decode(raw, where, "Node", _NODE, _node)


def identify(raw: RawObject, *, namespaced: bool = True) -> ObjectKey | None:
    """Which object ``raw`` is, even if it cannot be used otherwise; None if that is unreadable."""
    try:
        identity = _parse(raw, _IDENTIFIED).metadata
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    return ObjectKey(_namespace(identity.namespace) if namespaced else "", identity.name)


def _decode(
    raw: RawObject,
    where: str,
    kind: str,
    decoder: msgspec.json.Decoder[_Wire],
    convert: Callable[[_Wire], _Value],
) -> _Value:
    try:
        return convert(_parse(raw, decoder))
    except msgspec.ValidationError as error:
        reason, _, path = str(error).partition(" - at `")
        field = path.rstrip("`").removeprefix("$").removeprefix(".")
    except WrongFieldError as error:
        field, reason = error.field, error.reason
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        field, reason = "", f"not readable: {error}"
    key = identify(raw, namespaced=kind != "Node")
    raise UnusableObjectError(where=where, kind=kind, key=key, field=field, reason=reason)


def _parse(raw: RawObject, decoder: msgspec.json.Decoder[_Wire]) -> _Wire:
    if isinstance(raw, bytes | msgspec.Raw):
        return decoder.decode(raw)
    return msgspec.convert(raw, decoder.type)


def _namespace(namespace: str | None) -> str:
    return namespace or _DEFAULT_NAMESPACE


def _service(service: wire.Service) -> Service:
    spec, labels = service.spec, service.metadata.labels or {}
    kind = spec.type or ServiceType.CLUSTER_IP
    balanced = kind is ServiceType.LOAD_BALANCER
    external_ips = fields.addresses(spec.external_ips or (), "spec.externalIPs")
    is_local = spec.external_traffic_policy is TrafficPolicy.LOCAL and (
        _has_node_ports(kind) or (kind is ServiceType.CLUSTER_IP and bool(external_ips))
    )
    return Service(
        key=ObjectKey(
            fields.label(_namespace(service.metadata.namespace), "metadata.namespace"),
            fields.label(service.metadata.name, "metadata.name"),
        ),
        type=kind,
        ports=_service_ports(spec.ports or (), with_node_ports=_has_node_ports(kind)),
        cluster_ips=() if HEADLESS_LABEL in labels else _cluster_ips(spec),
        external_ips=external_ips,
        ingress_ips=_ingress_ips(service.status) if balanced else (),
        source_ranges=_source_ranges(service) if balanced else (),
        internal_traffic_policy=spec.internal_traffic_policy or TrafficPolicy.CLUSTER,
        external_traffic_policy=TrafficPolicy.LOCAL if is_local else TrafficPolicy.CLUSTER,
        affinity_seconds=_affinity_seconds(spec),
        health_check_node_port=(spec.health_check_node_port or 0) if balanced and is_local else 0,
        proxy_name=labels.get(PROXY_NAME_LABEL, ""),
    )


def _has_node_ports(kind: ServiceType) -> bool:
    return kind in (ServiceType.NODE_PORT, ServiceType.LOAD_BALANCER)


def _service_ports(
    ports: Sequence[wire.ServicePort], *, with_node_ports: bool
) -> tuple[ServicePort, ...]:
    names: set[str] = set()
    numbers: set[tuple[str, int]] = set()
    found = []
    for index, port in enumerate(ports):
        field = f"spec.ports[{index}]"
        name = _port_name(port.name, f"{field}.name", names)
        protocol = (port.protocol or "TCP").lower()
        if (protocol, port.port) in numbers:
            raise WrongFieldError(
                f"{field}.port", f"{port.port}/{protocol} stands twice: each port may stand once"
            )
        numbers.add((protocol, port.port))
        node_port = (port.node_port or 0) if with_node_ports else 0
        found.append(ServicePort(name, protocol, port.port, node_port))
    return tuple(found)


def _port_name(name: str | None, field: str, taken: set[str]) -> str:
    if name:
        fields.label(name, field)
    else:
        name = ""
    if name in taken:
        raise WrongFieldError(
            field, f"{name!r} stands twice: with several ports each needs a name of its own"
        )
    taken.add(name)
    return name


def _cluster_ips(spec: wire.ServiceSpec) -> tuple[str, ...]:
    if spec.cluster_ips:
        return _unless_headless(spec.cluster_ips, "spec.clusterIPs")
    if not spec.cluster_ip or spec.cluster_ip == "None":
        return ()
    return (fields.address(spec.cluster_ip, "spec.clusterIP"),)


def _unless_headless(cluster_ips: Sequence[str], field: str) -> tuple[str, ...]:
    return () if cluster_ips[0] in ("None", "") else fields.addresses(cluster_ips, field)


def _ingress_ips(status: wire.ServiceStatus | None) -> tuple[str, ...]:
    if status is None or status.load_balancer is None:
        return ()
    found = (
        fields.address(ingress.ip, f"status.loadBalancer.ingress[{index}].ip")
        for index, ingress in enumerate(status.load_balancer.ingress or ())
        if ingress.ip and ingress.ip_mode != "Proxy"
    )
    return tuple(dict.fromkeys(found))


def _source_ranges(service: wire.Service) -> tuple[str, ...]:
    if service.spec.load_balancer_source_ranges:
        return fields.networks(
            service.spec.load_balancer_source_ranges, "spec.loadBalancerSourceRanges"
        )
    text = (service.metadata.annotations or {}).get(_SOURCE_RANGES_ANNOTATION, "").strip()
    if not text:
        return ()
    return fields.networks(text.split(","), f"metadata.annotations[{_SOURCE_RANGES_ANNOTATION}]")


def _affinity_seconds(spec: wire.ServiceSpec) -> int | None:
    if spec.session_affinity != "ClientIP":
        return None
    config = spec.session_affinity_config
    if config is None or config.client_ip is None or config.client_ip.timeout_seconds is None:
        return _DEFAULT_AFFINITY_SECONDS
    return config.client_ip.timeout_seconds


def _slice(endpoint_slice: wire.EndpointSlice) -> EndpointSlice | None:
    labels = endpoint_slice.metadata.labels or {}
    service = labels.get(SERVICE_NAME_LABEL)
    family = _FAMILIES.get(endpoint_slice.address_type)
    if not service or family is None or PROXY_NAME_LABEL in labels or HEADLESS_LABEL in labels:
        return None
    namespace = fields.label(_namespace(endpoint_slice.metadata.namespace), "metadata.namespace")
    return EndpointSlice(
        key=ObjectKey(namespace, fields.subdomain(endpoint_slice.metadata.name, "metadata.name")),
        service=ObjectKey(namespace, service),
        family=family,
        ports=_slice_ports(endpoint_slice.ports or ()),
        endpoints=tuple(
            _endpoint(endpoint, family, index)
            for index, endpoint in enumerate(endpoint_slice.endpoints or ())
        ),
        changed_at=_changed_at(endpoint_slice.metadata),
    )


def _changed_at(metadata: wire.ObjectMeta) -> float | None:
    """What the EndpointSlice controller notes for measuring; it is worth no complaint."""
    text = (metadata.annotations or {}).get(_CHANGE_ANNOTATION)
    try:
        return datetime.fromisoformat(text).timestamp() if text else None
    except ValueError:
        return None


def _slice_ports(ports: Sequence[wire.SlicePort]) -> tuple[SlicePort, ...]:
    names: set[str] = set()
    found = []
    for index, port in enumerate(ports):
        name = _port_name(port.name, f"ports[{index}].name", names)
        if port.port is not None:
            found.append(SlicePort(name, port.port))
    return tuple(found)


def _endpoint(endpoint: wire.Endpoint, family: Family, index: int) -> SliceEndpoint:
    conditions, hints = endpoint.conditions, endpoint.hints
    return SliceEndpoint(
        _endpoint_address(endpoint, family, index),
        endpoint.node_name or "",
        conditions is None or conditions.ready is not False,
        conditions is None or conditions.serving is not False,
        conditions is not None and conditions.terminating is True,
        () if hints is None else tuple(hint.name for hint in hints.for_zones or ()),
        () if hints is None else tuple(hint.name for hint in hints.for_nodes or ()),
    )


def _endpoint_address(endpoint: wire.Endpoint, family: Family, index: int) -> str:
    if not endpoint.addresses:
        raise WrongFieldError(f"endpoints[{index}].addresses", "no address: one is needed")
    text = endpoint.addresses[0]
    if family is Family.IPV4 and fields.is_ipv4(text):
        return text
    address = fields.address(text, f"endpoints[{index}].addresses[0]")
    if family_of(address) is not family:
        raise WrongFieldError(
            f"endpoints[{index}].addresses[0]", f"{text!r} is not of the slice's addressType"
        )
    return address


def _node(node: wire.Node) -> Node:
    reported = (node.status.addresses if node.status else None) or ()
    return Node(
        name=fields.subdomain(node.metadata.name, "metadata.name"),
        addresses=_node_addresses(reported, "InternalIP")
        or _node_addresses(reported, "ExternalIP"),
        pod_cidrs=_pod_cidrs(node.spec) if node.spec else (),
        zone=(node.metadata.labels or {}).get(_ZONE_LABEL, ""),
        is_leaving=_is_leaving(node),
    )


def _is_leaving(node: wire.Node) -> bool:
    taints = (node.spec.taints if node.spec else None) or ()
    return node.metadata.deletion_timestamp is not None or any(
        taint.key == _LEAVING_TAINT for taint in taints
    )


def _node_addresses(reported: Sequence[wire.NodeAddress], kind: str) -> tuple[str, ...]:
    found = (
        fields.address(entry.address, f"status.addresses[{index}].address")
        for index, entry in enumerate(reported)
        if entry.type == kind
    )
    return tuple(dict.fromkeys(found))


def _pod_cidrs(spec: wire.NodeSpec) -> tuple[str, ...]:
    if spec.pod_cidrs:
        return fields.networks(spec.pod_cidrs, "spec.podCIDRs")
    return (fields.network(spec.pod_cidr, "spec.podCIDR"),) if spec.pod_cidr else ()
