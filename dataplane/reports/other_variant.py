# SPDX-License-Identifier: Apache-2.0
"""Tells once whether the node's other iptables variant is in use too."""

from __future__ import annotations

import logging

from dataplane.reports.observation import SyncObserver, SyncOutcome
from rules.ir import Family

_log = logging.getLogger(__name__)


class OtherVariantWarner(SyncObserver):
    """Looks after a family's first sync: until then nothing is more urgent than the rules."""

    def __init__(self) -> None:
        self._told: set[Family] = set()

    def succeeded(self, outcome: SyncOutcome) -> None:
        """See :class:`SyncObserver`."""
        if outcome.family in self._told:
            return
        self._told.add(outcome.family)
        # Takes a third of a second, which the first rules need not wait for.
        from dataplane.kernel.other_variant import nft_findings  # noqa: PLC0415 - see above

        for finding in nft_findings(outcome.family):
            _log.warning("%s", finding)
