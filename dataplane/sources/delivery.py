# SPDX-License-Identifier: Apache-2.0
"""From undecoded objects to the state: what cannot be decoded is reported and left as it was."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Generic, TypeVar

import msgspec

from dataplane.errors import UnusableObjectError
from dataplane.memory import many_values
from dataplane.sources.base import SourceObserver
from dataplane.sources.decode import identify
from dataplane.sources.listing import Page
from dataplane.sources.resources import Resource
from dataplane.sources.watch import WatchEvent
from rules.model import ObjectKey

T = TypeVar("T")


class Delivery(Generic[T]):
    """Decodes and delivers the objects of one kind."""

    def __init__(self, resource: Resource[T], observer: SourceObserver) -> None:
        """Deliver objects of ``resource``."""
        self._resource = resource
        self._observer = observer

    def replace(self, pages: Iterable[Page]) -> str:
        """Deliver a list once all its ``pages`` have come; return the version that it shows."""
        with many_values():
            return self._replace(pages)

    def _replace(self, pages: Iterable[Page]) -> str:
        values: list[T] = []
        unusable: set[ObjectKey] = set()
        version = ""
        for page in pages:
            version = page.metadata.resource_version
            for raw in page.items or ():
                try:
                    value = self._decode(raw)
                except UnusableObjectError as error:
                    self._observer.skipped(error)
                    unusable |= self._keys(raw)
                else:
                    values.extend(() if value is None else (value,))
        self._observer.listed(self._resource.kind, len(values))
        self._resource.replace(values, frozenset(unusable))
        return version

    def apply(self, event: WatchEvent) -> None:
        """Deliver one change."""
        if event.type == "DELETED":
            self._delete(event.object)
        elif event.type in ("ADDED", "MODIFIED"):
            self._put(event.object)

    def _put(self, raw: msgspec.Raw) -> None:
        try:
            value = self._decode(raw)
        except UnusableObjectError as error:
            self._observer.skipped(error)
            return
        if value is None:
            self._delete(raw)
        else:
            self._resource.put(value)

    def _delete(self, raw: msgspec.Raw) -> None:
        for key in self._keys(raw):
            self._resource.delete(key)

    def _decode(self, raw: msgspec.Raw) -> T | None:
        return self._resource.decode(raw, self._resource.path)

    def _keys(self, raw: msgspec.Raw) -> set[ObjectKey]:
        """The key of the object; none if it is unreadable."""
        key = identify(raw, namespaced=self._resource.namespaced)
        return set() if key is None else {key}
