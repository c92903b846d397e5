# SPDX-License-Identifier: Apache-2.0
"""Observers of syncs that turn them into health, metrics and Events."""

from __future__ import annotations

from time import time

from dataplane.errors import KernelError
from dataplane.reports.events import EventRecorder, source_ranges_of_other_family
from dataplane.reports.health import ProxyHealth
from dataplane.reports.metrics import Metrics, Phase
from dataplane.reports.observation import SyncObserver, SyncOutcome
from dataplane.schedule import Reason
from rules.ir import Family
from rules.model import ObjectKey


class HealthReporter(SyncObserver):
    """Keeps the agent's health up to date."""

    def __init__(self, health: ProxyHealth) -> None:
        self._health = health

    def queued(self, family: Family) -> None:
        """See :class:`SyncObserver`."""
        self._health.update_queued(family)

    def started(self, family: Family) -> None:
        """See :class:`SyncObserver`."""
        self._health.sync_started(family)

    def succeeded(self, outcome: SyncOutcome) -> None:
        """See :class:`SyncObserver`."""
        self._health.updated(outcome.family)
        self._health.node_changed(is_eligible=not outcome.picture.node.is_leaving)


class MetricsReporter(SyncObserver):
    """Counts and times syncs."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._began_at = time()

    def queued(self, family: Family) -> None:
        """See :class:`SyncObserver`."""
        self._metrics.sync_queued(family)

    def started(self, family: Family) -> None:  # noqa: ARG002 - every sync takes all changes
        """See :class:`SyncObserver`."""
        self._metrics.changes_taken()

    def succeeded(self, outcome: SyncOutcome) -> None:
        """See :class:`SyncObserver`."""
        family, report, metrics = outcome.family, outcome.report, self._metrics
        metrics.sync_succeeded(
            family,
            outcome.seconds,
            full=outcome.reason is Reason.PERIOD,
            set_aside=len(report.set_aside),
        )
        metrics.phase_ended(family, Phase.BUILD, report.build_seconds)
        metrics.phase_ended(family, Phase.APPLY, report.apply_seconds)
        for table, done in report.tables.items():
            metrics.table_synced(
                family, table, written=done.changes.rules_added, repaired=done.repairs.rules
            )
            metrics.table_standing(family, table, done.rules, done.chains)
        metrics.no_local_endpoints(
            family,
            internal=report.findings.unserved.internal,
            external=report.findings.unserved.external,
        )
        for changed_at in outcome.changed_at:
            # What changed while no agent ran says nothing about how quick this one is.
            if changed_at > self._began_at:
                metrics.network_programmed(family, changed_at)

    def failed(self, family: Family, reason: Reason, seconds: float, error: KernelError) -> None:
        """See :class:`SyncObserver`."""
        self._metrics.sync_failed(family, seconds, error, full=reason is Reason.PERIOD)


class EventReporter(SyncObserver):
    """Tells the owners of Services what a sync found, each finding once."""

    def __init__(self, recorder: EventRecorder, *, strict_source_ranges: bool) -> None:
        self._recorder = recorder
        self._strict_source_ranges = strict_source_ranges
        self._told: dict[Family, frozenset[ObjectKey]] = {}

    def succeeded(self, outcome: SyncOutcome) -> None:
        """See :class:`SyncObserver`."""
        family, found = outcome.family, outcome.report.findings.ranges_of_other_family_only
        for key in sorted(found - self._told.get(family, frozenset())):
            self._recorder.record(
                source_ranges_of_other_family(key, family, is_closed=self._strict_source_ranges)
            )
        self._told[family] = found
