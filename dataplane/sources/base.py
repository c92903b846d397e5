# SPDX-License-Identifier: Apache-2.0
"""What all sources have in common: how they are driven and whom they tell about trouble."""

from __future__ import annotations

import logging
from threading import Lock
from typing import Final, Protocol

from dataplane.errors import DataplaneError, UnusableObjectError

_LOG: Final = logging.getLogger("dataplane.sources")


class Source(Protocol):
    """Delivers Services, EndpointSlices and the Node to a StateSink until it is stopped."""

    def start(self) -> None:
        """Begin to deliver, from daemon threads; raise SourceError if that is hopeless."""

    def stop(self) -> None:
        """Deliver nothing more. Returns soon, even while a request is on its way."""


class SourceObserver(Protocol):
    """Is told what a source meets. Methods may be called from any thread."""

    def skipped(self, error: UnusableObjectError) -> None:
        """Something was left out; what was known of it before stays."""

    def listed(self, what: str, count: int) -> None:
        """All objects of the kind ``what`` were read anew, ``count`` of them usable."""

    def interrupted(self, what: str, error: Exception) -> None:
        """Following ``what`` failed; it is tried again, and what is known stays until then."""

    def resumed(self, what: str) -> None:
        """Following ``what`` works again, and nothing was missed."""


class LoggingObserver:
    """A SourceObserver that writes to the log; an unchanging trouble only once."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._reported: dict[str, str] = {}

    def skipped(self, error: UnusableObjectError) -> None:
        """See :class:`SourceObserver`."""
        _LOG.error("left out: %s", error)

    def listed(self, what: str, count: int) -> None:
        """See :class:`SourceObserver`."""
        self._forget(what)
        _LOG.info("%s: read all, %d usable", what, count)

    def interrupted(self, what: str, error: Exception) -> None:
        """See :class:`SourceObserver`."""
        with self._lock:
            is_known = self._reported.get(what) == str(error)
            self._reported[what] = str(error)
        if is_known:
            return
        # A failure that nobody foresaw is a defect: its traceback is wanted.
        details = None if isinstance(error, DataplaneError) else error
        _LOG.warning("%s: %s; trying again", what, error, exc_info=details)

    def resumed(self, what: str) -> None:
        """See :class:`SourceObserver`."""
        self._forget(what)
        _LOG.info("%s: followed again", what)

    def _forget(self, what: str) -> None:
        with self._lock:
            self._reported.pop(what, None)
