# SPDX-License-Identifier: Apache-2.0
"""All manifests of one moment: decoded file by file, then brought together."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, NamedTuple

from dataplane.errors import SourceError, UnusableObjectError
from dataplane.sources.decode import decode_node, decode_service, decode_slice, identify
from dataplane.sources.documents import Document, documents
from dataplane.sources.manifest_files import WatchedFolders, scan
from dataplane.state import StateSink
from rules.model import EndpointSlice, Node, ObjectKey, Service

_Value = Service | EndpointSlice | Node


class _Kind(NamedTuple):
    api_version: str
    decode: Callable[[Mapping[str, Any], str], _Value | None]


_KINDS: Final = {
    "Service": _Kind("v1", decode_service),
    "EndpointSlice": _Kind("discovery.k8s.io/v1", decode_slice),
    "Node": _Kind("v1", decode_node),
}


class _Identity(NamedTuple):
    kind: str
    key: ObjectKey


class _Found(NamedTuple):
    identity: _Identity
    where: str
    value: _Value


@dataclass(frozen=True, slots=True)
class _FileContent:
    digest: bytes
    found: tuple[_Found, ...]
    unusable: frozenset[_Identity]
    errors: tuple[UnusableObjectError, ...]


@dataclass(frozen=True, slots=True)
class Manifests:
    """What a set of manifests says."""

    services: tuple[Service, ...]
    slices: tuple[EndpointSlice, ...]
    node: Node
    unusable_services: frozenset[ObjectKey]
    unusable_slices: frozenset[ObjectKey]
    errors: tuple[UnusableObjectError, ...]

    def deliver(self, sink: StateSink) -> None:
        """Tell ``sink`` all of it."""
        sink.put_node(self.node)
        sink.replace_slices(self.slices, self.unusable_slices)
        sink.replace_services(self.services, self.unusable_services)


class ManifestSet:
    """The manifests at some paths, read again and again.

    A file that has not changed is not decoded again; one that cannot be read keeps its last good
    content.
    """

    def __init__(self, paths: Iterable[Path], node_name: str) -> None:
        """Read ``paths``; of all Nodes in them only ``node_name`` counts."""
        self._paths = tuple(paths)
        self._node = Node(node_name)
        self._contents: dict[Path, _FileContent] = {}
        self.folders = WatchedFolders(frozenset(), frozenset())
        """Where to watch for changes, as of the last reading."""

    def read(self) -> Manifests:
        """What stands in the files now.

        Raises:
            SourceError: a folder cannot be read.
        """
        try:
            found = scan(self._paths)
        except OSError as error:
            raise SourceError(f"{error.filename}: cannot be read: {error.strerror}") from None
        self.folders = found.folders
        contents: dict[Path, _FileContent] = {}
        errors: list[UnusableObjectError] = []
        for path in found.files:
            try:
                contents[path] = self._content(path)
            except UnusableObjectError as error:
                errors.append(error)
                if path in self._contents:
                    contents[path] = self._contents[path]
        self._contents = contents
        return self._combine(errors)

    def _content(self, path: Path) -> _FileContent:
        try:
            data = path.read_bytes()
        except OSError as error:
            raise UnusableObjectError(
                where=str(path), field="", reason=f"not readable: {error.strerror}"
            ) from None
        digest = sha256(data).digest()
        known = self._contents.get(path)
        if known is not None and known.digest == digest:
            return known
        return _decode_file(str(path), data, digest)

    def _combine(self, errors: list[UnusableObjectError]) -> Manifests:
        first: dict[_Identity, _Found] = {}
        unusable: set[_Identity] = set()
        for content in self._contents.values():
            errors.extend(content.errors)
            unusable |= content.unusable
            for found in content.found:
                winner = first.setdefault(found.identity, found)
                if winner is not found:
                    errors.append(_duplicate(found, winner))
        self._node = self._find_node(first, unusable)
        return Manifests(
            services=tuple(one.value for one in first.values() if isinstance(one.value, Service)),
            slices=tuple(
                one.value for one in first.values() if isinstance(one.value, EndpointSlice)
            ),
            node=self._node,
            unusable_services=_keys(unusable, "Service"),
            unusable_slices=_keys(unusable, "EndpointSlice"),
            errors=tuple(errors),
        )

    def _find_node(
        self, first: Mapping[_Identity, _Found], unusable: Collection[_Identity]
    ) -> Node:
        name = self._node.name
        identity = _Identity("Node", ObjectKey("", name))
        found = first.get(identity)
        if found is not None and isinstance(found.value, Node):
            return found.value
        return self._node if identity in unusable else Node(name)


def _decode_file(name: str, data: bytes, digest: bytes) -> _FileContent:
    text = documents(name, data)
    errors = list(text.errors)
    found: list[_Found] = []
    unusable: set[_Identity] = set()
    for document in text.found:
        kind = _KINDS.get(document.kind)
        if kind is None or kind.api_version != document.api_version:
            errors.append(_other_kind(document))
            continue
        try:
            value = kind.decode(document.content, document.where)
        except UnusableObjectError as error:
            errors.append(error)
            unusable |= _identities(document)
            continue
        if value is None:
            errors.append(_of_no_service(document))
        else:
            found.append(_Found(_Identity(document.kind, _key(value)), document.where, value))
    return _FileContent(digest, tuple(found), frozenset(unusable), tuple(errors))


def _identities(document: Document) -> set[_Identity]:
    """Which object it is; empty if that is unreadable."""
    key = identify(document.content, namespaced=document.kind != "Node")
    return set() if key is None else {_Identity(document.kind, key)}


def _key(value: _Value) -> ObjectKey:
    return ObjectKey("", value.name) if isinstance(value, Node) else value.key


def _other_kind(document: Document) -> UnusableObjectError:
    known = ", ".join(f"{kind.api_version} {name}" for name, kind in _KINDS.items())
    return UnusableObjectError(
        where=document.where,
        kind=f"{document.api_version} {document.kind}",
        field="",
        reason=f"not a kind that is used here; these are: {known}",
    )


def _of_no_service(document: Document) -> UnusableObjectError:
    return UnusableObjectError(
        where=document.where,
        kind=document.kind,
        key=identify(document.content),
        field="",
        reason="belongs to no Service here: it needs addressType IPv4 or IPv6, the label"
        " kubernetes.io/service-name, and no label that gives it to another proxy",
    )


def _duplicate(found: _Found, winner: _Found) -> UnusableObjectError:
    return UnusableObjectError(
        where=found.where,
        kind=found.identity.kind,
        key=found.identity.key,
        field="",
        reason=f"already defined in {winner.where}, which counts: remove one",
    )


def _keys(identities: Iterable[_Identity], kind: str) -> frozenset[ObjectKey]:
    return frozenset(identity.key for identity in identities if identity.kind == kind)
