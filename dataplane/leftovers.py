# SPDX-License-Identifier: Apache-2.0
"""Removes what kube-proxy left where none of our rules are, once ours stand."""

from __future__ import annotations

import logging
from typing import Final

from dataplane.errors import KernelError
from dataplane.kernel.canary import remove_canary
from dataplane.reports.observation import SyncObserver, SyncOutcome
from rules import names
from rules.ir import Family

_log = logging.getLogger(__name__)

_LOCK_TIMEOUT_SECONDS: Final = 0.1
"""It can wait for a sync at which nobody else has the lock."""


class LeftoverRemover(SyncObserver):
    """Looks once after a family's rules stand, in the thread that may touch the kernel."""

    def __init__(self) -> None:
        self._done: set[Family] = set()

    def succeeded(self, outcome: SyncOutcome) -> None:
        """See :class:`SyncObserver`."""
        family = outcome.family
        if family in self._done:
            return
        try:
            is_removed = remove_canary(family, lock_timeout_seconds=_LOCK_TIMEOUT_SECONDS)
        except KernelError as error:
            _log.debug("%s table mangle is left alone for now: %s", family.value, error)
            return
        self._done.add(family)
        if is_removed:
            _log.info(
                "removed kube-proxy's %s from the %s table mangle",
                names.KUBE_PROXY_CANARY,
                family.value,
            )
