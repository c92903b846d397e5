# SPDX-License-Identifier: Apache-2.0
"""What the sync loop leaves for whoever looks: what it last committed, and its last syncs."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import count
from threading import Lock
from typing import Final

from dataplane.errors import KernelError
from dataplane.reports.observation import SyncObserver, SyncOutcome
from dataplane.reports.sync_account import failure_fields, sync_fields
from dataplane.schedule import Reason
from dataplane.state import Picture
from rules.ir import Family
from rules.jsonform import JsonObject

_MOST_SYNCS: Final = 60
_MOST_NAMES: Final = 12


@dataclass(frozen=True, slots=True)
class _Entry:
    """A sync in the list; those that changed nothing are one entry as long as they follow."""

    fields: JsonObject
    times: int
    is_quiet: bool


class StatusBoard(SyncObserver):
    """Keeps what syncs leave. The sync loop writes; any thread may read."""

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        """``now`` gives seconds since the epoch."""
        self._now = now
        self._lock = Lock()
        self._numbers = count(1)
        self._outcomes: dict[Family, SyncOutcome] = {}
        self._picture: Picture | None = None
        self._in_hand: set[Family] = set()
        self._entries: list[_Entry] = []

    def started(self, family: Family) -> None:
        """See :class:`SyncObserver`."""
        with self._lock:
            self._in_hand.add(family)

    def succeeded(self, outcome: SyncOutcome) -> None:
        """See :class:`SyncObserver`."""
        report = outcome.report
        fields = sync_fields(outcome, _MOST_NAMES)
        is_quiet = not (outcome.news.is_any or report.has_changes or report.has_repairs)
        with self._lock:
            self._in_hand.discard(outcome.family)
            self._outcomes[outcome.family] = outcome
            self._picture = outcome.picture
            self._add(fields, is_quiet=is_quiet)

    def failed(self, family: Family, reason: Reason, seconds: float, error: KernelError) -> None:
        """See :class:`SyncObserver`."""
        with self._lock:
            self._in_hand.discard(family)
            self._add(failure_fields(family, reason, seconds, error), is_quiet=False)

    def outcomes(self) -> Mapping[Family, SyncOutcome]:
        """The last sync of each family that ended well."""
        with self._lock:
            return dict(self._outcomes)

    def picture(self) -> Picture | None:
        """What the rules follow; None before the first sync."""
        with self._lock:
            return self._picture

    def is_still(self, outcomes: Mapping[Family, SyncOutcome]) -> bool:
        """Whether nothing was or is being committed after ``outcomes``."""
        with self._lock:
            return not self._in_hand and all(
                self._outcomes.get(family) is outcome for family, outcome in outcomes.items()
            )

    def syncs(self) -> list[JsonObject]:
        """The last syncs, the latest first.

        Besides the fields of :mod:`dataplane.reports.sync_account` each has a ``number``, when it
        ended (``at``, in seconds since the epoch), and how many like it there were in a row that
        changed nothing (``times``).
        """
        with self._lock:
            return [entry.fields for entry in reversed(self._entries)]

    def _add(self, fields: JsonObject, *, is_quiet: bool) -> None:
        times = 1
        if is_quiet and (before := self._quiet_before(fields["family"])) is not None:
            self._entries.remove(before)
            times += before.times
        own = {"number": next(self._numbers), "at": self._now(), "times": times}
        self._entries.append(_Entry(own | fields, times, is_quiet=is_quiet))
        del self._entries[:-_MOST_SYNCS]

    def _quiet_before(self, family: object) -> _Entry | None:
        """The last entry of ``family``, if it changed nothing."""
        for entry in reversed(self._entries):
            if entry.fields["family"] == family:
                return entry if entry.is_quiet else None
        return None
