# SPDX-License-Identifier: Apache-2.0
"""What happened, counted and timed for Prometheus."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from enum import Enum
from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.registry import Collector

from dataplane.errors import (
    ConflictError,
    KernelError,
    LockTimeoutError,
    UnacceptableRulesError,
)
from dataplane.reports.exposition import metrics_text
from dataplane.reports.family_names import FAMILY_NAMES
from dataplane.reports.metric_definitions import (
    ChangeMetrics,
    ClientMetrics,
    HealthMetrics,
    OwnMetrics,
    SourceAges,
    SyncMetrics,
)
from rules.ir import Family, TableName

if TYPE_CHECKING:
    # At run time it would load the API client, which work on manifests does not need.
    from dataplane.sources.api import ApiRequest

_OTHER: Final = "other"
_NO_ANSWER: Final = "<error>"
"""What client-go puts in place of a code."""
_KINDS: Final = frozenset({"Service", "EndpointSlice", "Node"})
_FAILURES: Final = (
    (LockTimeoutError, "lock_timeout"),
    (ConflictError, "conflict"),
    (UnacceptableRulesError, "refused"),
)


class Phase(Enum):
    """A part of a sync that is timed by itself."""

    BUILD = "build"
    APPLY = "apply"


class Metrics:
    """All metrics of one agent. Methods are named after what happened; call them from any thread.

    Times of day are seconds since the epoch, as ``now`` gives them.
    """

    def __init__(
        self,
        families: Iterable[Family],
        *,
        monotonic: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        """Count for ``families``; failures begin at zero, so that the first one is an increase."""
        self._now = now
        registry = self._registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self._sync = SyncMetrics(registry)
        self._changes = ChangeMetrics(registry)
        self._client = ClientMetrics(registry)
        self._health = HealthMetrics(registry)
        self._own = OwnMetrics(registry)
        self._sources = SourceAges(monotonic)
        registry.register(self._sources)
        for family in families:
            name = FAMILY_NAMES[family]
            self._sync.failures.labels(name)
            self._sync.partial_failures.labels(name)
            self._sync.conntrack_deleted.labels(name)
            for reason in (*(reason for _, reason in _FAILURES), _OTHER):
                self._own.failures.labels(name, reason)

    def register(self, collector: Collector) -> None:
        """Show what ``collector`` has besides."""
        self._registry.register(collector)

    def sync_queued(self, family: Family) -> None:
        """Something is to be done for the rules of ``family``."""
        self._sync.last_queued.labels(FAMILY_NAMES[family]).set(self._now())

    def sync_succeeded(self, family: Family, seconds: float, *, full: bool, set_aside: int) -> None:
        """A sync ended well, but for the rules of the Services that it had to set aside.

        A ``full`` sync looks at all that should stand already.
        """
        name = FAMILY_NAMES[family]
        self._observe_duration(name, seconds, full=full)
        self._sync.last.labels(name).set(self._now())
        self._own.set_aside.labels(name).set(set_aside)

    def sync_failed(
        self, family: Family, seconds: float, error: KernelError, *, full: bool
    ) -> None:
        """A sync ended with ``error``, and the kernel is as it was."""
        name = FAMILY_NAMES[family]
        self._observe_duration(name, seconds, full=full)
        self._sync.failures.labels(name).inc()
        if not full:
            self._sync.partial_failures.labels(name).inc()
        reasons = (reason for kind, reason in _FAILURES if isinstance(error, kind))
        self._own.failures.labels(name, next(reasons, _OTHER)).inc()

    def phase_ended(self, family: Family, phase: Phase, seconds: float) -> None:
        """A part of a sync is done."""
        self._own.phases.labels(FAMILY_NAMES[family], phase.value).observe(seconds)

    def table_synced(
        self, family: Family, table: TableName, *, written: int, repaired: int
    ) -> None:
        """A sync wrote so many rules to a table, and mended so many that somebody had changed."""
        name = FAMILY_NAMES[family]
        self._sync.rules_written.labels(table.value, name).set(written)
        self._own.repairs.labels(name, table.value).inc(bool(repaired))
        self._own.repaired_rules.labels(name, table.value).inc(repaired)

    def table_standing(self, family: Family, table: TableName, rules: int, chains: int) -> None:
        """So many rules and chains of ours stand in a table now."""
        name = FAMILY_NAMES[family]
        self._sync.rules_standing.labels(table.value, name).set(rules)
        self._own.rules.labels(name, table.value).set(rules)
        self._own.chains.labels(name, table.value).set(chains)

    def lock_waited(self, seconds: float) -> None:
        """The xtables lock was asked for, and had or given up after ``seconds``."""
        self._own.lock_wait.observe(seconds)

    def commit_conflicted(self, family: Family, table: TableName) -> None:
        """Somebody else wrote to a table between our read and our commit."""
        self._own.conflicts.labels(FAMILY_NAMES[family], table.value).inc()

    def no_local_endpoints(self, family: Family, *, internal: int, external: int) -> None:
        """So many service ports have endpoints, but none that policy Local allows here."""
        name = FAMILY_NAMES[family]
        self._sync.no_local_endpoints.labels("internal", name).set(internal)
        self._sync.no_local_endpoints.labels("external", name).set(external)

    def network_programmed(self, family: Family, changed_at: float) -> None:
        """A change of endpoints that was triggered at ``changed_at`` is in the rules now."""
        seconds = max(self._now() - changed_at, 0.0)
        self._sync.programming.labels(FAMILY_NAMES[family]).observe(seconds)

    def conntrack_reconciled(self, family: Family, seconds: float, deleted: int) -> None:
        """Stale entries were looked for, and so many were deleted."""
        name = FAMILY_NAMES[family]
        self._sync.conntrack_duration.labels(name).observe(seconds)
        self._sync.conntrack_deleted.labels(name).inc(deleted)

    def services_changed(self, count: int = 1) -> None:
        """Services were added, changed or deleted; the rules do not follow yet."""
        self._changes.services.inc(count)
        self._changes.services_pending.inc(count)

    def slices_changed(self, count: int = 1) -> None:
        """EndpointSlices were added, changed or deleted; the rules do not follow yet."""
        self._changes.endpoints.inc(count)
        self._changes.endpoints_pending.inc(count)

    def changes_taken(self) -> None:
        """A sync takes all changes so far into account."""
        self._changes.services_pending.set(0)
        self._changes.endpoints_pending.set(0)

    def api_requested(self, request: ApiRequest) -> None:
        """The API server was asked something, and answered or not."""
        method, host, code, seconds = request
        self._client.requests.labels(code or _NO_ANSWER, method, host).inc()
        if seconds is not None:
            self._client.duration.labels(method, host).observe(seconds)

    def healthz_answered(self, code: int) -> None:
        """Somebody asked for /healthz."""
        self._health.healthz.labels(str(code)).inc()

    def livez_answered(self, code: int) -> None:
        """Somebody asked for /livez."""
        self._health.livez.labels(str(code)).inc()

    def object_skipped(self, kind: str) -> None:
        """An object of ``kind`` could not be used."""
        self._own.skipped.labels(kind if kind in _KINDS else _OTHER).inc()

    def source_interrupted(self, what: str) -> None:
        """What is known of ``what`` may be out of date from now on."""
        self._own.interruptions.labels(what).inc()
        self._sources.interrupted(what)

    def source_followed(self, what: str) -> None:
        """What is known of ``what`` is up to date, and changes are followed."""
        self._own.interruptions.labels(what)
        self._sources.followed(what)

    def text(self) -> bytes:
        """All metrics in Prometheus' text format."""
        return metrics_text(self._registry)

    def _observe_duration(self, name: str, seconds: float, *, full: bool) -> None:
        self._sync.duration.labels(name).observe(seconds)
        by_kind = self._sync.full_duration if full else self._sync.partial_duration
        by_kind.labels(name).observe(seconds)
