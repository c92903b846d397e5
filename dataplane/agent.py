# SPDX-License-Identifier: Apache-2.0
"""The sync loop: waits until a sync is due, takes a picture of the state, programs each family."""

from __future__ import annotations

import logging
from collections.abc import Callable
from queue import Empty, SimpleQueue
from time import monotonic
from typing import Final

from dataplane.errors import KernelError
from dataplane.node_ports import context_of, interface_addresses
from dataplane.reports import SyncLog
from dataplane.schedule import Reason, Schedule
from dataplane.settings import Settings
from dataplane.state import Picture
from dataplane.sync import FamilySync
from dataplane.sysctls import enable_route_localnet
from rules.ir import Family

_log = logging.getLogger(__name__)

_STOP: Final = True


class Agent:
    """Programs the node; only the thread of :meth:`run` touches the kernel."""

    def __init__(self, settings: Settings, families: tuple[Family, ...]) -> None:
        """Program ``families`` as ``settings`` say."""
        self._settings = settings
        self._syncs = {
            family: FamilySync(family, lock_timeout_seconds=settings.sync.lock_timeout_seconds)
            for family in families
        }
        # A queue, not an event: its put is safe in a signal handler that interrupts its get.
        self._wakeups: SimpleQueue[bool] = SimpleQueue()
        self._is_change_noted = False
        self._sync_log = SyncLog(strict_source_ranges=settings.options.strict_source_ranges)
        self._is_localnet_routed = not (
            settings.options.localhost_node_ports and Family.IPV4 in families
        )
        self._schedule = Schedule(settings.sync, monotonic())

    def note_change(self) -> None:
        """Tell that the picture has changed; from any thread."""
        if not self._is_change_noted:
            self._is_change_noted = True
            self._wakeups.put(not _STOP)

    def stop(self) -> None:
        """End :meth:`run` after the commit in hand; from any thread or signal handler."""
        self._wakeups.put(_STOP)

    def run(self, take_picture: Callable[[], Picture | None]) -> None:
        """Sync with what ``take_picture`` gives until stopped; rules stay in place."""
        while (reason := self._wait()) is not None:
            # Before the picture is taken: a change after it must lead to another sync.
            self._is_change_noted = False
            picture = take_picture()
            if picture is None:
                self._schedule.note_not_ready(monotonic())
            else:
                self._sync(picture, reason)

    def _wait(self) -> Reason | None:
        """Wait until a sync is due and tell why it is, or None if it is time to stop."""
        while True:
            due, reason = self._schedule.due()
            try:
                if self._wakeups.get(timeout=max(due - monotonic(), 0)) is _STOP:
                    return None
                self._schedule.note_change()
            except Empty:
                return reason

    def _sync(self, picture: Picture, reason: Reason) -> None:
        self._schedule.note_start()
        verify = reason is Reason.PERIOD
        failed = False
        for family, sync in self._syncs.items():
            started = monotonic()
            try:
                context = context_of(self._settings, picture.node, family, interface_addresses)
                report = sync.sync(picture.services, context, verify=verify)
            except KernelError as error:
                failed = True
                _log.error("sync of %s failed: %s", family.value, error)
            else:
                self._sync_log.tell(family, reason, report, monotonic() - started)
        self._note_end(failed=failed, verified=verify)

    def _note_end(self, *, failed: bool, verified: bool) -> None:
        if failed:
            self._schedule.note_failure(monotonic())
            return
        self._schedule.note_success(monotonic(), verified=verified)
        if not self._is_localnet_routed:
            self._is_localnet_routed = True
            enable_route_localnet()
