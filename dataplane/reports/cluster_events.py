# SPDX-License-Identifier: Apache-2.0
"""Events to the cluster, from a thread of their own: nobody waits for the API server."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import Condition, Event, Thread
from typing import Final

import msgspec
from tenacity import (
    Retrying,
    retry_if_exception_type,
    sleep_using_event,
    stop_after_attempt,
    stop_when_event_set,
    wait_exponential,
)

from dataplane.errors import DataplaneError
from dataplane.reports.events import ServiceEvent
from dataplane.sources.api import ApiServer, RequestFailedError
from dataplane.sources.listing import pages
from rules.model import ObjectKey

_log = logging.getLogger(__name__)

_CONTROLLER: Final = "kube-dataplane"
_LONGEST_NOTE: Final = 1024
_LONGEST_INSTANCE: Final = 128
_READ_SECONDS: Final = 10.0
_STOP_SECONDS: Final = 2.0
"""A request that is not answered yet cannot be broken off; its thread ends with the process."""


class _Metadata(msgspec.Struct):
    uid: str


class _Owner(msgspec.Struct):
    metadata: _Metadata


@dataclass(frozen=True, slots=True, kw_only=True)
class EventLimits:
    """How much the API server is asked to take; times in seconds."""

    queued: int = 100
    """Events beyond these are dropped: the log has them."""
    spacing: float = 1.0
    """Rest after each event."""
    repeat: float = 600.0
    """An event that was told is not told again for so long."""
    attempts: int = 6
    first_retry: float = 1.0
    longest_retry: float = 30.0


class ClusterEventRecorder:
    """An EventRecorder that creates events.k8s.io/v1 Events. Failures only show in the log."""

    def __init__(
        self,
        server: ApiServer,
        node_name: str,
        *,
        limits: EventLimits | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Tell ``server`` what the agent of ``node_name`` met."""
        self._server = server
        self._instance = f"{_CONTROLLER}-{node_name}"[:_LONGEST_INSTANCE]
        self._limits = limits = limits or EventLimits()
        self._monotonic = monotonic
        self._now = now
        self._changed = Condition()
        self._queue: deque[ServiceEvent] = deque()
        self._told_at: dict[ServiceEvent, float] = {}
        self._stopped = Event()
        self._until_told = Retrying(
            retry=retry_if_exception_type(RequestFailedError),
            stop=stop_after_attempt(limits.attempts) | stop_when_event_set(self._stopped),
            wait=wait_exponential(limits.first_retry, limits.longest_retry),
            sleep=sleep_using_event(self._stopped),
            reraise=True,
        )
        self._thread = Thread(target=self._run, name="events", daemon=True)

    def start(self) -> None:
        """Begin to tell."""
        self._thread.start()

    def stop(self) -> None:
        """Tell nothing more; what is queued is dropped."""
        with self._changed:
            self._stopped.set()
            self._changed.notify_all()
        self._thread.join(_STOP_SECONDS)

    def record(self, event: ServiceEvent) -> None:
        """See :class:`dataplane.reports.events.EventRecorder`."""
        with self._changed:
            now = self._monotonic()
            oldest = now - self._limits.repeat
            self._told_at = {told: at for told, at in self._told_at.items() if at > oldest}
            if event in self._told_at:
                return
            if len(self._queue) >= self._limits.queued:
                _log.warning("too many events; not told to the cluster: %s", _text(event))
                return
            self._told_at[event] = now
            self._queue.append(event)
            self._changed.notify_all()

    def _run(self) -> None:
        while (event := self._next()) is not None:
            try:
                self._until_told(self._tell, event)
            except DataplaneError as error:
                _log.warning("not told to the cluster: %s: %s", _text(event), error)
                with self._changed:
                    self._told_at.pop(event, None)
            except Exception:  # noqa: BLE001 - a dead thread would tell nobody anything any more
                _log.exception("not told to the cluster: %s", _text(event))
            self._stopped.wait(self._limits.spacing)

    def _next(self) -> ServiceEvent | None:
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._stopped.is_set())
            return None if self._stopped.is_set() else self._queue.popleft()

    def _tell(self, event: ServiceEvent) -> None:
        if self._stopped.is_set():
            # What woke a pause between two tries.
            return
        uid = self._uid(event.service)
        if uid is None:
            # Deleted meanwhile: nobody is left to be told.
            return
        namespace, name = event.service
        content = {
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {"namespace": namespace, "generateName": f"{name}."},
            # The API server takes no other number of digits.
            "eventTime": self._now().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "reportingController": _CONTROLLER,
            "reportingInstance": self._instance,
            "regarding": {
                "apiVersion": "v1",
                "kind": "Service",
                "namespace": namespace,
                "name": name,
                "uid": uid,
            },
            "type": "Warning",
            "reason": event.reason,
            "action": event.action,
            "note": event.note.encode()[:_LONGEST_NOTE].decode(errors="ignore"),
        }
        path = f"/apis/events.k8s.io/v1/namespaces/{namespace}/events"
        self._server.post(path, content, read_seconds=_READ_SECONDS)

    def _uid(self, service: ObjectKey) -> str | None:
        """The identity without which ``kubectl describe`` does not find the event.

        Listed rather than read: kube-proxy's role in clusters does not allow to read one.
        """
        path = f"/api/v1/namespaces/{service.namespace}/services"
        selector = {"fieldSelector": f"metadata.name={service.name}"}
        for page in pages(self._server, path, selector, in_parts=False):
            for raw in page.items or ():
                try:
                    return msgspec.json.decode(raw, type=_Owner).metadata.uid
                except (msgspec.MsgspecError, ValueError) as error:
                    raise RequestFailedError(f"GET {path}: {error}") from error
        return None


def _text(event: ServiceEvent) -> str:
    return f"service {event.service}: {event.reason}: {event.note}"
