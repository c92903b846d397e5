# SPDX-License-Identifier: Apache-2.0
"""Observers of sources that count or tell what they see, each in front of another observer."""

from __future__ import annotations

from dataplane.errors import UnusableObjectError
from dataplane.reports.events import EventRecorder, unusable_field
from dataplane.reports.metrics import Metrics
from dataplane.sources.base import SourceObserver


class CountingObserver:
    """A SourceObserver that counts for Prometheus."""

    def __init__(self, metrics: Metrics, behind: SourceObserver) -> None:
        """Count, then tell ``behind``."""
        self._metrics = metrics
        self._behind = behind

    def skipped(self, error: UnusableObjectError) -> None:
        """See SourceObserver."""
        self._metrics.object_skipped(error.kind)
        self._behind.skipped(error)

    def listed(self, what: str, count: int) -> None:
        """See SourceObserver."""
        self._metrics.source_followed(what)
        self._behind.listed(what, count)

    def interrupted(self, what: str, error: Exception) -> None:
        """See SourceObserver."""
        self._metrics.source_interrupted(what)
        self._behind.interrupted(what, error)

    def resumed(self, what: str) -> None:
        """See SourceObserver."""
        self._metrics.source_followed(what)
        self._behind.resumed(what)


class EventObserver:
    """A SourceObserver that tells the owners of Services that cannot be used."""

    def __init__(self, recorder: EventRecorder, behind: SourceObserver) -> None:
        """Record, then tell ``behind``."""
        self._recorder = recorder
        self._behind = behind

    def skipped(self, error: UnusableObjectError) -> None:
        """See SourceObserver."""
        event = unusable_field(error)
        if event is not None:
            self._recorder.record(event)
        self._behind.skipped(error)

    def listed(self, what: str, count: int) -> None:
        """See SourceObserver."""
        self._behind.listed(what, count)

    def interrupted(self, what: str, error: Exception) -> None:
        """See SourceObserver."""
        self._behind.interrupted(what, error)

    def resumed(self, what: str) -> None:
        """See SourceObserver."""
        self._behind.resumed(what)
