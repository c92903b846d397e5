# SPDX-License-Identifier: Apache-2.0
"""Reconciles beside the sync loop: rules must not wait while a large table is looked through."""

from __future__ import annotations

import logging
from collections.abc import Callable
from threading import Event, Thread
from time import monotonic
from typing import Final

from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    sleep_using_event,
    stop_when_event_set,
    wait_exponential,
)

from dataplane.conntrack.reconciler import ConntrackReconciler, ReconcileReport
from dataplane.errors import KernelError
from rules.flows import FlowTargets
from rules.ir import Family

_log = logging.getLogger(__name__)

_FIRST_RETRY_SECONDS: Final = 1.0
_LONGEST_RETRY_SECONDS: Final = 60.0


class BackgroundReconciler:
    """A thread for each family that makes the passes that are due, and repeats those that fail."""

    def __init__(self, on_pass: Callable[[Family, ReconcileReport], None]) -> None:
        """Call ``on_pass``, from the thread, after each pass."""
        self._on_pass = on_pass
        self._reconciler = ConntrackReconciler()
        self._due = {family: Event() for family in Family}
        self._stopped = Event()
        self._until_done = Retrying(
            # Even after a defect: a dead thread would let flows go stale.
            retry=retry_if_exception_type(Exception),
            wait=wait_exponential(_FIRST_RETRY_SECONDS, _LONGEST_RETRY_SECONDS),
            sleep=sleep_using_event(self._stopped),
            stop=stop_when_event_set(self._stopped),
            before_sleep=self._report,
            retry_error_callback=lambda _: None,
        )
        # Daemons: a pass may be cut short at any point when the agent stops.
        self._threads = [
            Thread(target=self._run, args=(one,), name=f"conntrack-{one.value}", daemon=True)
            for one in Family
        ]

    def start(self) -> None:
        """Begin, in the network namespace of the calling thread."""
        for thread in self._threads:
            thread.start()

    def stop(self, *, patience_seconds: float = 1.0) -> None:
        """End after the passes in hand, which are waited for only so long."""
        self._stopped.set()
        for due in self._due.values():
            due.set()
        latest = monotonic() + patience_seconds
        for thread in self._threads:
            thread.join(max(0.0, latest - monotonic()))

    def note(self, family: Family, targets: FlowTargets) -> None:
        """Note that the rules for ``targets`` stand now; returns at once."""
        if self._reconciler.note(family, targets):
            self._due[family].set()

    def _run(self, family: Family) -> None:
        while self._due[family].wait() and not self._stopped.is_set():
            self._due[family].clear()
            self._until_done(self._pass, family)

    def _pass(self, family: Family) -> None:
        report = self._reconciler.run(family)
        if report is None:
            return
        level = logging.INFO if report.deleted else logging.DEBUG
        milliseconds = report.seconds * 1000
        _log.log(
            level,
            "ended %d stale %s flows in %.1f ms",
            report.deleted,
            family.value,
            milliseconds,
        )
        self._on_pass(family, report)

    @staticmethod
    def _report(attempt: RetryCallState) -> None:
        error = attempt.outcome.exception() if attempt.outcome else None
        (family,) = attempt.args
        # A failure that nobody foresaw is a defect: its traceback is wanted.
        details = None if isinstance(error, KernelError) else error
        _log.warning(
            "stale %s flows were not ended, and are looked for again: %s",
            family.value,
            error,
            exc_info=details,
        )
