# SPDX-License-Identifier: Apache-2.0
"""The sync loop: waits until a sync is due, takes a picture of the state, programs each family."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from queue import Empty, SimpleQueue
from time import monotonic
from typing import Final

from dataplane.errors import KernelError
from dataplane.kernel.applier import TableObserver
from dataplane.node_ports import context_of, interface_addresses
from dataplane.reports.observation import SyncObserver, SyncOutcome
from dataplane.schedule import Reason, Schedule
from dataplane.settings import Settings
from dataplane.state import Picture
from dataplane.sync import FamilyReport, FamilySync
from dataplane.sysctls import enable_route_localnet
from rules.ir import Family
from rules.model import ObjectKey, ServiceState
from rules.news import news

_STOP: Final = True
_MOST_TIMES: Final = 10_000
"""Of changes that no sync has followed yet: syncs may fail for as long as something is broken."""


class Agent:
    """Programs the node; only the thread of :meth:`run` touches the kernel."""

    def __init__(
        self,
        settings: Settings,
        families: Iterable[Family],
        table_observer: TableObserver,
    ) -> None:
        """Program ``families`` as ``settings`` say."""
        self._settings = settings
        self._observers: Sequence[SyncObserver] = ()
        self._syncs = {
            family: FamilySync(
                family,
                lock_timeout_seconds=settings.sync.lock_timeout_seconds,
                observer=table_observer,
            )
            for family in families
        }
        self._unfollowed: dict[Family, deque[float]] = {
            family: deque(maxlen=_MOST_TIMES) for family in self._syncs
        }
        """When endpoints changed that the rules of a family do not follow yet."""
        # A queue, not an event: its put is safe in a signal handler that interrupts its get.
        self._wakeups: SimpleQueue[bool] = SimpleQueue()
        self._change_noted_at: float | None = None
        self._waiting_since: dict[Family, float] = {}
        """Since when changes wait that the rules of a family do not follow yet."""
        self._followed: dict[Family, Mapping[ObjectKey, ServiceState]] = {}
        """What the rules of a family follow."""
        self._is_ready = False
        self._is_localnet_routed = not settings.options.localhost_node_ports
        self._is_large: dict[Family, bool] = {}
        self._schedule = Schedule(settings.sync, monotonic())

    def note_change(self) -> None:
        """Tell that the picture has changed; from any thread."""
        if self._change_noted_at is None:
            self._change_noted_at = monotonic()
            if self._is_ready:
                self._tell_queued()
            self._wakeups.put(not _STOP)

    def stop(self) -> None:
        """End :meth:`run` after the commit in hand; from any thread or signal handler."""
        self._wakeups.put(_STOP)

    def run(
        self, take_picture: Callable[[], Picture | None], observers: Sequence[SyncObserver]
    ) -> None:
        """Sync with what ``take_picture`` gives until stopped; rules stay in place.

        ``observers`` are told of each sync, in the given order.
        """
        self._observers = observers
        while (reason := self._wait()) is not None:
            # Before the picture is taken: a change after it must lead to another sync.
            noted_at, self._change_noted_at = self._change_noted_at, None
            picture = take_picture()
            if picture is None:
                self._schedule.note_not_ready(monotonic())
                continue
            if not self._is_ready:
                self._is_ready = True
                self._tell_queued()
            if noted_at is not None:
                for family in self._syncs:
                    self._waiting_since.setdefault(family, noted_at)
            self._sync(picture, reason)

    def _tell_queued(self) -> None:
        """Not before the first full state: until then there is nothing that could be late."""
        for family in self._syncs:
            for observer in self._observers:
                observer.queued(family)

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
        self._schedule.note_start(monotonic())
        for times in self._unfollowed.values():
            times.extend(picture.changed_at)
        reports = {family: self._sync_family(family, picture, reason) for family in self._syncs}
        if reports.get(Family.IPV4) is not None:
            self._route_localnet()
        if None in reports.values():
            self._schedule.note_failure(monotonic())
            return
        self._schedule.note_success(
            monotonic(),
            verified=reason is Reason.PERIOD,
            repaired=any(report is not None and report.has_repairs for report in reports.values()),
        )

    def _sync_family(self, family: Family, picture: Picture, reason: Reason) -> FamilyReport | None:
        """Sync one family; None if that failed, which does not concern the other one."""
        started = monotonic()
        for observer in self._observers:
            observer.started(family)
        try:
            context = context_of(
                self._settings,
                picture,
                family,
                interface_addresses,
                was_large=self._is_large.get(family, False),
            )
            self._is_large[family] = context.is_large
            report = self._syncs[family].sync(
                picture.services, context, verify=reason is Reason.PERIOD
            )
        except KernelError as error:
            for observer in self._observers:
                observer.failed(family, reason, monotonic() - started, error)
            return None
        outcome = SyncOutcome(
            family,
            reason,
            monotonic() - started,
            picture,
            context,
            report,
            changed_at=tuple(self._unfollowed[family]),
            queue_seconds=started - self._waiting_since.pop(family, started),
            news=news(self._followed.get(family, {}), picture.services, family),
        )
        self._unfollowed[family].clear()
        self._followed[family] = picture.services
        for observer in self._observers:
            observer.succeeded(outcome)
        return report

    def _route_localnet(self) -> None:
        """Let localhost's node ports work, once the rule stands which makes that safe."""
        if not self._is_localnet_routed:
            self._is_localnet_routed = True
            enable_route_localnet(self._settings.proc_sys)
