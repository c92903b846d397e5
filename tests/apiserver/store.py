# SPDX-License-Identifier: Apache-2.0
"""The objects of the fake API server and the history of their changes."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from threading import Condition
from typing import Any, Final, NamedTuple

JsonObject = dict[str, Any]

RESOURCE_OF_KIND: Final = {
    "Service": "/api/v1/services",
    "EndpointSlice": "/apis/discovery.k8s.io/v1/endpointslices",
    "Node": "/api/v1/nodes",
}


class GoneError(Exception):
    """The version that was asked for is not known any more."""


class Change(NamedTuple):
    """One change of one object."""

    version: int
    resource: str
    old: JsonObject | None
    new: JsonObject | None


@dataclass(frozen=True, slots=True)
class Selector:
    """The selectors that this project's sources use: absent labels, and one name."""

    absent_labels: frozenset[str]
    name: str | None

    @classmethod
    def parse(cls, query: Mapping[str, str]) -> Selector:
        """Read them from a request's query; refuse any other."""
        absent = set()
        for term in filter(None, query.get("labelSelector", "").split(",")):
            if not term.startswith("!"):
                raise ValueError(f"label selector {term!r} is not supported")
            absent.add(term.removeprefix("!"))
        field, _, name = query.get("fieldSelector", "").partition("=")
        if field not in ("", "metadata.name"):
            raise ValueError(f"field selector {field!r} is not supported")
        return cls(frozenset(absent), name or None)

    def matches(self, one: JsonObject | None) -> bool:
        """Whether the object is selected."""
        if one is None:
            return False
        labels = one["metadata"].get("labels") or {}
        return self.absent_labels.isdisjoint(labels) and self.name in (
            None,
            one["metadata"]["name"],
        )


class Store:
    """Objects with resourceVersions. ``changed`` guards everything and tells of changes."""

    def __init__(self) -> None:
        self.changed = Condition()
        self.version = 1
        self._objects: dict[tuple[str, str, str], JsonObject] = {}
        self._history: list[Change] = []
        self._oldest = 1
        self._pages: dict[str, tuple[int, list[JsonObject]]] = {}

    def put(self, one: JsonObject) -> int:
        """Add or change an object; return the version of that."""
        one = copy.deepcopy(one)
        metadata = one["metadata"]
        key = (RESOURCE_OF_KIND[one["kind"]], metadata.get("namespace", ""), metadata["name"])
        with self.changed:
            self._record(key, one)
            return self.version

    def delete(self, kind: str, namespace: str, name: str) -> int:
        """Remove an object; return the version of that."""
        with self.changed:
            self._record((RESOURCE_OF_KIND[kind], namespace, name), None)
            return self.version

    def forget(self) -> None:
        """Forget the history: watches and pages of older versions are gone."""
        with self.changed:
            self.version += 1
            self._oldest = self.version
            self._history.clear()
            self._pages.clear()
            self.changed.notify_all()

    def forget_pages(self) -> None:
        """Forget what the lists begun so far have not shown yet."""
        with self.changed:
            self._pages.clear()

    def page(self, resource: str, selector: Selector, limit: int, token: str) -> JsonObject:
        """A list, or the next part of one."""
        with self.changed:
            if token:
                if token not in self._pages:
                    raise GoneError
                version, rest = self._pages.pop(token)
            else:
                version, rest = self.version, self._selected(resource, selector)
            items, rest = (rest[:limit], rest[limit:]) if limit else (rest, [])
            metadata: JsonObject = {"resourceVersion": str(version)}
            if rest:
                metadata["continue"] = f"{version}-{len(rest)}-{resource}"
                self._pages[metadata["continue"]] = (version, rest)
            return {"kind": "List", "apiVersion": "v1", "metadata": metadata, "items": items}

    def events(
        self, resource: str, selector: Selector, after: int
    ) -> list[tuple[int, str, JsonObject]]:
        """The changes after version ``after``, as a watch shows them. Hold ``changed``."""
        if after < self._oldest:
            raise GoneError
        shown = []
        for change in self._history:
            if change.version <= after or change.resource != resource:
                continue
            before, now = selector.matches(change.old), selector.matches(change.new)
            if now and change.new is not None:
                shown.append((change.version, "MODIFIED" if before else "ADDED", change.new))
            elif before and change.old is not None:
                gone = copy.deepcopy(change.old)
                gone["metadata"]["resourceVersion"] = str(change.version)
                shown.append((change.version, "DELETED", gone))
        return shown

    def _record(self, key: tuple[str, str, str], new: JsonObject | None) -> None:
        self.version += 1
        old = self._objects.pop(key, None)
        if new is not None:
            new["metadata"]["resourceVersion"] = str(self.version)
            self._objects[key] = new
        self._history.append(Change(self.version, key[0], old, new))
        self.changed.notify_all()

    def _selected(self, resource: str, selector: Selector) -> list[JsonObject]:
        # As the API server does, without the fields that every item would repeat.
        return [
            {name: value for name, value in one.items() if name not in ("kind", "apiVersion")}
            for key, one in sorted(self._objects.items())
            if key[0] == resource and selector.matches(one)
        ]
