# SPDX-License-Identifier: Apache-2.0
"""When to sync: soon after a change, not too often, and at the latest after a while.

Time is given, never asked for, in seconds of any monotonic clock.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

from dataplane.settings import SyncSettings

_FIRST_RETRY_SECONDS: Final = 0.5
_LONGEST_RETRY_SECONDS: Final = 4.0
"""A node must follow the cluster again within 5 seconds of the end of whatever made syncs fail."""
_FIRST_RECHECK_SECONDS: Final = 1.0
"""After a repair: whoever changed our rules may do so again, or may just now have been doing it.

After the first sync too: whoever programmed the node before may still be at it.
"""


_LONGEST_REST_SECONDS: Final = 2.0
"""A sync is followed by a rest as long as it took, up to this.

Others need the xtables lock, and the node its processors. What changes meanwhile is one sync.
"""


class Reason(Enum):
    """Why a sync is due."""

    CHANGE = "change"
    PERIOD = "period"
    RETRY = "retry"


class Schedule:
    """Remembers what happened and says when the next sync is due."""

    def __init__(self, settings: SyncSettings, now: float) -> None:
        self._settings = settings
        self._changed = False
        self._failures = 0
        self._unrest = 0
        """How often in a row somebody else was at work, or may have been."""
        self._has_succeeded = False
        self._rest = settings.min_sync_period_seconds
        """How long a change waits for others after the end of a sync."""
        self._started_at = now
        self._ended_at = now - self._rest
        self._verified_at = now

    def note_change(self) -> None:
        """Something changed: sync as soon as the rest between syncs allows."""
        self._changed = True

    def note_not_ready(self, now: float) -> None:
        """There was nothing to sync yet."""
        self._changed = False
        self._verified_at = now

    def note_start(self, now: float) -> None:
        """A sync starts now and will take all changes so far into account."""
        self._changed = False
        self._started_at = now

    def note_success(self, now: float, *, verified: bool, repaired: bool = False) -> None:
        """The sync ended well; ``repaired`` if it found that somebody had changed our rules."""
        self._failures = 0
        self._ended_at = now
        cost = min(now - self._started_at, _LONGEST_REST_SECONDS)
        self._rest = max(self._settings.min_sync_period_seconds, cost)
        is_first, self._has_succeeded = not self._has_succeeded, True
        if repaired or is_first:
            self._unrest += 1
        elif verified:
            self._unrest = 0
        if repaired or is_first or verified:
            self._verified_at = now

    def note_failure(self, now: float) -> None:
        """The sync failed: what it was about is still to be done."""
        self._failures += 1
        self._ended_at = now
        self._rest = self._settings.min_sync_period_seconds

    def due(self) -> tuple[float, Reason]:
        """When the next sync is due, and why."""
        rest = self._rest
        period = self._settings.sync_period_seconds
        recheck = _FIRST_RECHECK_SECONDS * 2 ** min(self._unrest - 1, 10)
        until_verified = min(max(recheck, rest), period) if self._unrest else period
        times = [(self._verified_at + until_verified, Reason.PERIOD)]
        if self._changed:
            times.append((self._ended_at + rest, Reason.CHANGE))
        if self._failures:
            doubled = _FIRST_RETRY_SECONDS * 2 ** min(self._failures - 1, 10)
            pause = max(min(doubled, _LONGEST_RETRY_SECONDS), rest)
            times = [(self._ended_at + pause, Reason.RETRY)]
        return min(times, key=lambda due: due[0])
