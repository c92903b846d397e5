# SPDX-License-Identifier: Apache-2.0
"""What a sync tells to whoever follows it: logs, metrics, health, conntrack, health-check ports.

Data flows one way: observers read what was done, and nothing that they do changes what is done.
"""

from __future__ import annotations

from dataclasses import dataclass

from dataplane.errors import KernelError
from dataplane.schedule import Reason
from dataplane.state import Picture
from dataplane.sync import FamilyReport
from rules.context import FamilyContext
from rules.ir import Family
from rules.news import News


@dataclass(frozen=True, slots=True)
class SyncOutcome:
    """A sync of one family that ended well."""

    family: Family
    reason: Reason
    seconds: float
    picture: Picture
    """What the rules follow now."""
    context: FamilyContext
    report: FamilyReport
    changed_at: tuple[float, ...]
    """When endpoints changed that the rules follow since this sync, in seconds since the epoch."""
    queue_seconds: float
    """How long the first of the changes waited that the rules follow since this sync."""
    news: News
    """Which Services and endpoints they were."""


class SyncObserver:
    """Is told of syncs; does nothing by itself. Methods must return soon."""

    def queued(self, family: Family) -> None:
        """Something is to be done for a family; may be called from any thread."""

    def started(self, family: Family) -> None:
        """A sync begins that will take into account all that was queued."""

    def succeeded(self, outcome: SyncOutcome) -> None:
        """A sync ended well."""

    def failed(self, family: Family, reason: Reason, seconds: float, error: KernelError) -> None:
        """A sync failed: the table that it failed at is as it was, and it is tried again."""
