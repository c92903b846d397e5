# SPDX-License-Identifier: Apache-2.0
"""What the sources have told so far, and a consistent picture of it.

Sources write from their own threads; one reader takes pictures. A picture never changes, and the
state of a Service in it is the same object as in the picture before unless the Service or one of
its slices changed: this is how the rules know what to rebuild. If no Service did, all of them are
the same object, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from threading import Lock
from types import MappingProxyType
from typing import Protocol

from rules.model import EndpointSlice, Node, ObjectKey, Service, ServiceState


class StateSink(Protocol):
    """Where a source delivers to. All methods may be called from any thread.

    ``replace_*`` gives a complete list and, with the first one, completes that kind's part of the
    first full state. ``unusable`` names objects of the list that exist but could not be decoded:
    what was known of them stays.
    """

    def replace_services(
        self, services: Iterable[Service], unusable: frozenset[ObjectKey] = frozenset()
    ) -> None:
        """Take ``services`` for all there are."""

    def put_service(self, service: Service) -> None:
        """Add or change a Service."""

    def delete_service(self, key: ObjectKey) -> None:
        """Forget a Service, if it is known."""

    def replace_slices(
        self, slices: Iterable[EndpointSlice], unusable: frozenset[ObjectKey] = frozenset()
    ) -> None:
        """Take ``slices`` for all there are."""

    def put_slice(self, endpoint_slice: EndpointSlice) -> None:
        """Add or change an EndpointSlice."""

    def delete_slice(self, key: ObjectKey) -> None:
        """Forget an EndpointSlice, if it is known."""

    def put_node(self, node: Node) -> None:
        """Take ``node`` for this agent's node."""


@dataclass(frozen=True, slots=True)
class Picture:
    """All that is known at one moment."""

    services: Mapping[ObjectKey, ServiceState]
    node: Node
    changed_at: tuple[float, ...] = ()
    """When endpoints changed of which no picture has told yet, in seconds since the epoch."""


class ListMissingError(RuntimeError):
    """A source delivered a single object before its list: a defect of that source."""


class ChangeCounter(Protocol):
    """Counts what the sources deliver; its methods are called from their threads."""

    def services_changed(self, count: int) -> None:
        """So many Services were added, changed or deleted."""

    def slices_changed(self, count: int) -> None:
        """So many EndpointSlices were added, changed or deleted."""


class ClusterState:
    """Collects what the sources deliver; a :class:`StateSink`."""

    def __init__(self, on_change: Callable[[], None], counter: ChangeCounter | None = None) -> None:
        """Call ``on_change``, from the source's thread, after each change that matters.

        ``counter`` is told before what it was that changed.
        """
        self._on_change = on_change
        self._counter = counter
        self._lock = Lock()
        self._services: dict[ObjectKey, Service] | None = None
        self._slices: dict[ObjectKey, EndpointSlice] | None = None
        self._slices_of: dict[ObjectKey, dict[ObjectKey, EndpointSlice]] = {}
        self._node: Node | None = None
        self._states: Mapping[ObjectKey, ServiceState] = MappingProxyType({})
        self._stale: set[ObjectKey] = set()
        self._changed_at: list[float] = []

    def replace_services(
        self, services: Iterable[Service], unusable: frozenset[ObjectKey] = frozenset()
    ) -> None:
        """See :class:`StateSink`."""
        with self._lock:
            known = self._services or {}
            new = {service.key: service for service in services}
            new.update((key, known[key]) for key in unusable if key in known and key not in new)
            is_first = self._services is None
            changed = _changed_keys(known, new)
            self._services = new
            self._stale |= changed
        if changed or is_first:
            self._tell(services=len(changed))

    def put_service(self, service: Service) -> None:
        """See :class:`StateSink`."""
        with self._lock:
            if self._services is None:
                raise ListMissingError
            if self._services.get(service.key) == service:
                return
            self._services[service.key] = service
            self._stale.add(service.key)
        self._tell(services=1)

    def delete_service(self, key: ObjectKey) -> None:
        """See :class:`StateSink`."""
        with self._lock:
            if not self._services or self._services.pop(key, None) is None:
                return
            self._stale.add(key)
        self._tell(services=1)

    def replace_slices(
        self, slices: Iterable[EndpointSlice], unusable: frozenset[ObjectKey] = frozenset()
    ) -> None:
        """See :class:`StateSink`."""
        with self._lock:
            known = self._slices or {}
            new = {endpoint_slice.key: endpoint_slice for endpoint_slice in slices}
            new.update((key, known[key]) for key in unusable if key in known and key not in new)
            is_first = self._slices is None
            self._slices = dict(known)
            changed = _changed_keys(known, new)
            for key in changed:
                self._set_slice(key, new.get(key))
        if changed or is_first:
            self._tell(slices=len(changed))

    def put_slice(self, endpoint_slice: EndpointSlice) -> None:
        """See :class:`StateSink`."""
        with self._lock:
            if self._slices is None:
                raise ListMissingError
            if self._slices.get(endpoint_slice.key) == endpoint_slice:
                return
            self._set_slice(endpoint_slice.key, endpoint_slice)
        self._tell(slices=1)

    def delete_slice(self, key: ObjectKey) -> None:
        """See :class:`StateSink`."""
        with self._lock:
            if not self._slices or key not in self._slices:
                return
            self._set_slice(key, None)
        self._tell(slices=1)

    def put_node(self, node: Node) -> None:
        """See :class:`StateSink`."""
        with self._lock:
            if self._node == node:
                return
            self._node = node
        self._on_change()

    def picture(self) -> Picture | None:
        """The present state, or None before the first full one."""
        with self._lock:
            if self._services is None or self._slices is None or self._node is None:
                # What changed before the first full state says nothing about how quick we are.
                self._changed_at.clear()
                return None
            if self._stale:
                states = dict(self._states)
                for key in self._stale:
                    self._refresh(states, key, self._services.get(key))
                self._states = MappingProxyType(states)
                self._stale = set()
            changed_at, self._changed_at = tuple(self._changed_at), []
            return Picture(self._states, self._node, changed_at)

    def _tell(self, *, services: int = 0, slices: int = 0) -> None:
        if self._counter is not None:
            self._counter.services_changed(services)
            self._counter.slices_changed(slices)
        self._on_change()

    def _set_slice(self, key: ObjectKey, endpoint_slice: EndpointSlice | None) -> None:
        """Put or remove one slice; it may have moved from one Service to another."""
        if self._slices is None:
            raise ListMissingError
        old = self._slices.pop(key, None)
        if old is not None:
            siblings = self._slices_of[old.service]
            del siblings[key]
            if not siblings:
                del self._slices_of[old.service]
            self._stale.add(old.service)
        if endpoint_slice is not None:
            self._slices[key] = endpoint_slice
            if endpoint_slice.changed_at is not None:
                self._changed_at.append(endpoint_slice.changed_at)
            self._slices_of.setdefault(endpoint_slice.service, {})[key] = endpoint_slice
            self._stale.add(endpoint_slice.service)

    def _refresh(
        self, states: dict[ObjectKey, ServiceState], key: ObjectKey, service: Service | None
    ) -> None:
        if service is None:
            states.pop(key, None)
            return
        slices = self._slices_of.get(key, {})
        states[key] = ServiceState(service, tuple(slices[name] for name in sorted(slices)))


def _changed_keys(
    old: Mapping[ObjectKey, object], new: Mapping[ObjectKey, object]
) -> set[ObjectKey]:
    changed = {key for key, value in new.items() if old.get(key) != value}
    return changed | (old.keys() - new.keys())
