# SPDX-License-Identifier: Apache-2.0
"""The kinds of objects that are asked of an API server, and where each is delivered to."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from dataplane.errors import SourceError
from dataplane.sources.base import SourceObserver
from dataplane.sources.decode import (
    HEADLESS_LABEL,
    PROXY_NAME_LABEL,
    RawObject,
    decode_node,
    decode_service,
    decode_slice,
)
from dataplane.state import StateSink
from rules.model import EndpointSlice, Node, ObjectKey, Service

T = TypeVar("T")

_OURS: Final = {"labelSelector": f"!{HEADLESS_LABEL},!{PROXY_NAME_LABEL}"}
"""As kube-proxy asks, so that the server does not send what would not be used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource(Generic[T]):
    """One kind of objects."""

    kind: str
    path: str
    selector: Mapping[str, str]
    decode: Callable[[RawObject, str], T | None]
    replace: Callable[[Sequence[T], frozenset[ObjectKey]], None]
    """Takes a complete list, and the keys of objects of it that could not be decoded."""
    put: Callable[[T], None]
    delete: Callable[[ObjectKey], None]
    namespaced: bool = True


def services(sink: StateSink) -> Resource[Service]:
    """All Services that are this agent's."""
    return Resource(
        kind="Service",
        path="/api/v1/services",
        selector=_OURS,
        decode=decode_service,
        replace=sink.replace_services,
        put=sink.put_service,
        delete=sink.delete_service,
    )


def slices(sink: StateSink) -> Resource[EndpointSlice]:
    """All EndpointSlices that are this agent's."""
    return Resource(
        kind="EndpointSlice",
        path="/apis/discovery.k8s.io/v1/endpointslices",
        selector=_OURS,
        decode=decode_slice,
        replace=sink.replace_slices,
        put=sink.put_slice,
        delete=sink.delete_slice,
    )


def node(sink: StateSink, name: str, observer: SourceObserver) -> Resource[Node]:
    """The Node ``name``. Once known it stays, even if it is deleted: the machine is still there."""
    is_missing = False

    def put(found: Node) -> None:
        nonlocal is_missing
        sink.put_node(found)
        if is_missing:
            is_missing = False
            observer.resumed("Node")

    def report_missing(why: str) -> None:
        nonlocal is_missing
        is_missing = True
        observer.interrupted("Node", SourceError(why))

    def replace(nodes: Sequence[Node], unusable: frozenset[ObjectKey]) -> None:
        for only in nodes:
            put(only)
        if not nodes and not unusable:
            report_missing(
                f"{name} is not registered in the cluster, and nothing is programmed before it is;"
                " if this node has another name, set --hostname-override"
            )

    def delete(key: ObjectKey) -> None:
        report_missing(f"{key} was deleted; its last state is kept")

    return Resource(
        kind="Node",
        path="/api/v1/nodes",
        selector={"fieldSelector": f"metadata.name={name}"},
        decode=decode_node,
        replace=replace,
        put=put,
        delete=delete,
        namespaced=False,
    )
