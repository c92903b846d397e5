# SPDX-License-Identifier: Apache-2.0
"""Lets flows follow the rules: after each sync, what outlived its endpoints is ended."""

from __future__ import annotations

from dataplane.conntrack.background import BackgroundReconciler
from dataplane.reports.observation import SyncObserver, SyncOutcome
from rules.flows import FlowTargetsBuilder
from rules.ir import Family


class FlowObserver(SyncObserver):
    """Notes which flows the rules serve, for ``reconciler`` to end the others."""

    def __init__(self, reconciler: BackgroundReconciler) -> None:
        self._reconciler = reconciler
        self._builders: dict[Family, FlowTargetsBuilder] = {}

    def succeeded(self, outcome: SyncOutcome) -> None:
        """See :class:`SyncObserver`."""
        builder = self._builders.get(outcome.family)
        if builder is None or builder.context != outcome.context:
            builder = self._builders[outcome.family] = FlowTargetsBuilder(outcome.context)
        self._reconciler.note(outcome.family, builder.build(outcome.picture.services))
