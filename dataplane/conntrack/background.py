# SPDX-License-Identifier: Apache-2.0
"""Reconciles beside the sync loop: rules must not wait while a large table is looked through."""

from __future__ import annotations

import logging
from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread

from dataplane.conntrack.reconciler import ConntrackReconciler, ReconcileReport
from dataplane.errors import KernelError
from rules.flows import FlowTargets
from rules.ir import Family

_log = logging.getLogger(__name__)


class BackgroundReconciler:
    """One thread that makes the passes that are due."""

    def __init__(self, on_pass: Callable[[Family, ReconcileReport], None]) -> None:
        """Call ``on_pass``, from the thread, after each pass."""
        self._on_pass = on_pass
        self._reconciler = ConntrackReconciler()
        self._requests: SimpleQueue[Family | None] = SimpleQueue()
        # A daemon: a pass may be cut short at any point when the agent stops.
        self._thread = Thread(target=self._run, name="conntrack", daemon=True)

    def start(self) -> None:
        """Begin, in the network namespace of the calling thread."""
        self._thread.start()

    def stop(self, *, patience_seconds: float = 1.0) -> None:
        """End after the pass in hand, which is waited for only so long."""
        self._requests.put(None)
        self._thread.join(patience_seconds)

    def note(self, family: Family, targets: FlowTargets) -> None:
        """Note that the rules for ``targets`` stand now; returns at once.

        Call it after each sync, also if nothing changed: this is when a failed pass is repeated.
        """
        if self._reconciler.note(family, targets):
            self._requests.put(family)

    def _run(self) -> None:
        while (family := self._requests.get()) is not None:
            try:
                report = self._reconciler.run(family)
            except KernelError as error:
                _log.warning("stale %s flows were not ended: %s", family.value, error)
                continue
            except Exception:  # noqa: BLE001 - a dead thread would let flows go stale
                _log.exception("stale %s flows were not ended", family.value)
                continue
            if report is not None:
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
