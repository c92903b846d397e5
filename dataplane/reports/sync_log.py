# SPDX-License-Identifier: Apache-2.0
"""What a sync did, told in one line; and what the operator should know, told once."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Final

from dataplane.errors import KernelError
from dataplane.logs import FIELDS
from dataplane.reports.observation import SyncObserver, SyncOutcome
from dataplane.reports.sync_account import failure_fields, sync_fields, sync_words
from dataplane.schedule import Reason
from dataplane.sync import FamilyReport
from rules.ir import Family
from rules.model import ObjectKey

_log = logging.getLogger(__name__)

_MOST_NAMES: Final = 3
_MOST_NAMES_IN_DETAIL: Final = 50
"""With ``-v 4``."""


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
        new = report.findings.ranges_of_other_family_only - (
            told.findings.ranges_of_other_family_only if told else frozenset()
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
            extra={FIELDS: failure_fields(family, reason, seconds, error)},
        )

    @staticmethod
    def _tell_changes(outcome: SyncOutcome) -> None:
        if outcome.report.has_repairs:
            level = logging.WARNING
        elif outcome.news.is_any or outcome.report.has_changes:
            level = logging.INFO
        else:
            level = logging.DEBUG
        if not _log.isEnabledFor(level):
            return
        most = _MOST_NAMES_IN_DETAIL if _log.isEnabledFor(logging.DEBUG) else _MOST_NAMES
        fields = sync_fields(outcome, most)
        _log.log(level, "%s", sync_words(outcome, most), extra={FIELDS: fields})

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
