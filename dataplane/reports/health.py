# SPDX-License-Identifier: Apache-2.0
"""Whether this agent keeps the node's rules up to date, and whether the node wants traffic.

kube-proxy 1.36 defines both, and the JSON that tells of them. Ages are taken from a clock that
nobody sets; the times that are shown are the wall clock's.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import Lock
from typing import Final

import msgspec

from dataplane.reports.family_names import FAMILY_NAMES
from rules.ir import Family

_NEVER: Final = datetime(1, 1, 1, tzinfo=UTC)
"""How Go shows a time that was not set."""


@dataclass(frozen=True, slots=True)
class FamilyHealth:
    """How one family's rules are."""

    last_updated: datetime | None
    """When they were last brought up to date."""
    is_healthy: bool
    """Whether no change has waited too long for them."""


@dataclass(frozen=True, slots=True)
class Health:
    """How this agent is at one moment."""

    current_time: datetime
    families: Mapping[Family, FamilyHealth]
    is_node_eligible: bool

    @property
    def is_live(self) -> bool:
        """Whether all families are healthy: what /livez tells, and health-check node ports."""
        return all(family.is_healthy for family in self.families.values())

    @property
    def is_healthy(self) -> bool:
        """What /healthz tells: is this node a good place to send traffic to?"""
        return self.is_live and self.is_node_eligible

    def livez_json(self) -> bytes:
        """The body of /livez."""
        return msgspec.json.encode(self._fields(is_ok=self.is_live, eligibility={}))

    def healthz_json(self) -> bytes:
        """The body of /healthz."""
        eligibility = {"nodeEligible": self.is_node_eligible}
        return msgspec.json.encode(self._fields(is_ok=self.is_healthy, eligibility=eligibility))

    def _fields(self, *, is_ok: bool, eligibility: Mapping[str, bool]) -> dict[str, object]:
        latest = max(
            (health.last_updated or _NEVER for health in self.families.values()), default=_NEVER
        )
        return {
            # Scripts compare the two times: they are equal as long as all is well.
            "lastUpdated": self.current_time if is_ok else latest,
            "currentTime": self.current_time,
            **eligibility,
            "healthy": self.is_live,
            "status": {
                FAMILY_NAMES[family]: {
                    "lastUpdated": health.last_updated or _NEVER,
                    "healthy": health.is_healthy,
                }
                for family, health in self.families.items()
            },
        }


class ProxyHealth:
    """Remembers what waits and what was done. Methods may be called from any thread."""

    def __init__(
        self,
        families: Iterable[Family],
        timeout_seconds: float,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Be unhealthy once something is to be done for a family for ``timeout_seconds``."""
        self._families = tuple(families)
        self._timeout_seconds = timeout_seconds
        self._monotonic = monotonic
        self._now = now
        self._lock = Lock()
        self._queued_at: dict[Family, float] = {}
        self._in_hand_since: dict[Family, float] = {}
        self._last_updated: dict[Family, datetime] = {}
        self._is_node_eligible = True

    def update_queued(self, family: Family) -> None:
        """Something is to be done for the rules of ``family``."""
        with self._lock:
            self._queued_at.setdefault(family, self._monotonic())

    def sync_started(self, family: Family) -> None:
        """A sync takes in hand all that was queued so far, and what an earlier one left undone."""
        with self._lock:
            since = self._queued_at.pop(family, self._monotonic())
            self._in_hand_since[family] = min(since, self._in_hand_since.get(family, since))

    def updated(self, family: Family) -> None:
        """That sync ended well; what was queued meanwhile is still to be done."""
        with self._lock:
            self._in_hand_since.pop(family, None)
            self._last_updated[family] = self._now()

    def node_changed(self, *, is_eligible: bool) -> None:
        """Whether the node wants traffic is known; until then it is taken for granted."""
        with self._lock:
            self._is_node_eligible = is_eligible

    def read(self) -> Health:
        """How this agent is now."""
        with self._lock:
            return Health(
                self._now(),
                {
                    family: FamilyHealth(
                        self._last_updated.get(family), is_healthy=not self._is_late(family)
                    )
                    for family in self._families
                },
                self._is_node_eligible,
            )

    def _is_late(self, family: Family) -> bool:
        times = (self._queued_at.get(family), self._in_hand_since.get(family))
        limit = self._monotonic() - self._timeout_seconds
        return any(since is not None and since <= limit for since in times)
