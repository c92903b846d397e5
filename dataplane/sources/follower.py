# SPDX-License-Identifier: Apache-2.0
"""Follows one kind of objects for good: a list, then watches, and a new list when it must be.

Whatever fails is tried again with a growing, random delay. Nothing is forgotten meanwhile: only a
complete list or an event changes what was delivered before.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from random import SystemRandom
from threading import Event, Lock
from time import monotonic
from typing import Final, Generic, TypeVar

from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    sleep_using_event,
    stop_when_event_set,
    wait_random_exponential,
)

from dataplane.sources.api import ApiServer, RelistNeededError, RequestFailedError
from dataplane.sources.base import SourceObserver
from dataplane.sources.delivery import Delivery
from dataplane.sources.listing import Page, pages
from dataplane.sources.resources import Resource
from dataplane.sources.watch import WatchStream

T = TypeVar("T")

_RANDOM: Final = SystemRandom()


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """How patient a follower is, in seconds."""

    watch: float = 300.0
    """The server is asked to end a watch after this or up to twice as much: agents spread out."""
    idle: float = 90.0
    """A watch that is silent for so long is given up: bookmarks come about once a minute."""
    settled: float = 5.0
    """A watch that lasted so long was none that fails at once."""
    shortest_backoff: float = 0.2
    longest_backoff: float = 2.0
    """Short enough to follow changes soon after the server has come back."""


class Follower(Generic[T]):
    """Keeps the delivered objects of one kind equal to the server's."""

    def __init__(
        self, server: ApiServer, resource: Resource[T], observer: SourceObserver, timing: Timing
    ) -> None:
        """Follow ``resource`` on ``server``."""
        self._server = server
        self._resource = resource
        self._observer = observer
        self._delivery = Delivery(resource, observer)
        self._timing = timing
        self._version = ""
        """Where the next watch begins; empty if a list must come first."""
        self._is_interrupted = False
        self._stopped = Event()
        self._lock = Lock()
        self._stream: WatchStream | None = None
        self._until_it_works = Retrying(
            # Even a defect must not end the thread: the node's rules would be frozen in silence.
            retry=retry_if_exception_type(Exception),
            wait=wait_random_exponential(
                multiplier=timing.shortest_backoff, max=timing.longest_backoff
            ),
            sleep=sleep_using_event(self._stopped),
            stop=stop_when_event_set(self._stopped),
            before_sleep=self._report,
            retry_error_callback=lambda _: None,
        )

    def run(self) -> None:
        """Follow until :meth:`stop`."""
        while not self._stopped.is_set():
            self._until_it_works(self._advance)

    def stop(self) -> None:
        """Deliver nothing more and let :meth:`run` return."""
        with self._lock:
            self._stopped.set()
            if self._stream is not None:
                self._stream.interrupt()

    def _advance(self) -> None:
        """List if need be, then watch until the watch ends; raise if that got nowhere."""
        if not self._version:
            self._version = self._list()
        start, version = monotonic(), self._version
        try:
            self._watch()
        except RelistNeededError:
            self._version = ""
            raise
        except RequestFailedError:
            if not self._has_advanced(version, start):
                raise
        else:
            if not self._has_advanced(version, start):
                raise RequestFailedError("the watch ended at once")

    def _has_advanced(self, version: str, start: float) -> bool:
        return self._version != version or monotonic() - start > self._timing.settled

    def _list(self) -> str:
        try:
            return self._delivery.replace(self._pages(in_parts=True))
        except RelistNeededError:
            # The pages came too slowly for the server; all at once cannot expire.
            return self._delivery.replace(self._pages(in_parts=False))

    def _pages(self, *, in_parts: bool) -> Iterator[Page]:
        resource = self._resource
        for page in pages(self._server, resource.path, resource.selector, in_parts=in_parts):
            if self._stopped.is_set():
                # Ending quietly would make the pages so far look like the whole list.
                raise RequestFailedError("stopped")
            yield page

    def _watch(self) -> None:
        stream = self._open()
        with self._lock:
            self._stream = stream
            if self._stopped.is_set():
                stream.interrupt()
        for event in stream.events():
            if self._stopped.is_set():
                return
            self._delivery.apply(event)
            self._version = event.version or self._version
            if self._is_interrupted:
                self._is_interrupted = False
                self._observer.resumed(self._resource.kind)

    def _open(self) -> WatchStream:
        seconds = _RANDOM.uniform(self._timing.watch, 2 * self._timing.watch)
        query = {
            **self._resource.selector,
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": self._version,
            "timeoutSeconds": str(round(seconds)),
        }
        response = self._server.get(self._resource.path, query, read_seconds=self._timing.idle)
        return WatchStream(response)

    def _report(self, attempt: RetryCallState) -> None:
        error = attempt.outcome.exception() if attempt.outcome else None
        if isinstance(error, Exception):
            self._is_interrupted = True
            self._observer.interrupted(self._resource.kind, error)
