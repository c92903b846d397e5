# SPDX-License-Identifier: Apache-2.0
"""What a sync did, told in one line; and what the operator should know, told once."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from dataplane.errors import KernelError
from dataplane.kernel.transaction import Changes
from dataplane.reports.observation import SyncObserver, SyncOutcome
from dataplane.schedule import Reason
from dataplane.sync import FamilyReport
from rules.ir import Family
from rules.model import ObjectKey

_log = logging.getLogger(__name__)


class SyncLog(SyncObserver):
    """Logs the syncs of one agent; remembers what it has told of each family."""

    def __init__(self, *, strict_source_ranges: bool) -> None:
        self._strict_source_ranges = strict_source_ranges
        self._told: dict[Family, FamilyReport] = {}

    def succeeded(self, outcome: SyncOutcome) -> None:
        """One line for the sync if it changed anything, and one for each new finding."""
        family, report = outcome.family, outcome.report
        told = self._told.get(family)
        self._told[family] = report
        self._tell_changes(outcome)
        self._tell_set_aside(family, report.set_aside, told.set_aside if told else {})
        new = report.ranges_of_other_family_only - (
            told.ranges_of_other_family_only if told else frozenset()
        )
        for key in sorted(new):
            _log.warning(
                "service %s: no range in loadBalancerSourceRanges is of family %s, so that its %s "
                "load-balancer addresses are %s; add a range of that family",
                key,
                family.value,
                family.value,
                "closed" if self._strict_source_ranges else "open to everybody",
            )

    def failed(self, family: Family, reason: Reason, seconds: float, error: KernelError) -> None:
        """One line that says why."""
        _log.error(
            "sync of %s (%s) failed after %.1f ms, and is tried again: %s",
            family.value,
            reason.value,
            seconds * 1000,
            error,
        )

    @staticmethod
    def _tell_changes(outcome: SyncOutcome) -> None:
        family, report = outcome.family, outcome.report
        for table, done in report.tables.items():
            if done.repairs:
                _log.warning(
                    "%s table %s: somebody else had changed our rules; repaired: %s",
                    family.value,
                    table.value,
                    _text(done.repairs),
                )
        changes = "; ".join(
            f"{table.value}: {_text(done.changes)}"
            for table, done in report.tables.items()
            if done.changes
        )
        level = logging.INFO if changes else logging.DEBUG
        _log.log(
            level,
            "synced %s (%s) in %.1f ms, of which %.1f building and %.1f applying: %s",
            family.value,
            outcome.reason.value,
            outcome.seconds * 1000,
            report.build_seconds * 1000,
            report.apply_seconds * 1000,
            changes or "nothing to change",
        )

    @staticmethod
    def _tell_set_aside(
        family: Family, set_aside: Mapping[ObjectKey, str], before: Mapping[ObjectKey, str]
    ) -> None:
        for key, reason in set_aside.items():
            if before.get(key) != reason:
                _log.error(
                    "service %s is not up to date in %s: %s; everything else is applied",
                    key,
                    family.value,
                    reason,
                )


def _text(changes: Changes) -> str:
    return (
        f"rules +{changes.rules_added} -{changes.rules_deleted}, "
        f"chains +{changes.chains_created} -{changes.chains_deleted}"
    )
