# SPDX-License-Identifier: Apache-2.0
"""The service ports of this node with their traffic, kept up to date in a terminal."""

from __future__ import annotations

import curses
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from dataplane.errors import DataplaneError, KernelError, UnusableObjectError
from dataplane.picture import open_source
from dataplane.settings import Settings, SourceSettings
from dataplane.state import ClusterState
from dataplane.traffic.reader import TrafficReader
from dataplane.traffic.screen import Reading, Screen
from rules.ir import Family
from rules.traffic.report import ServiceTraffic


class NoTerminalError(DataplaneError):
    """There is nothing to draw on."""


class _Remarks:
    """A SourceObserver that remembers what is wrong now: a log line would spoil the screen."""

    def __init__(self) -> None:
        self._skipped: set[str] = set()
        self._interrupted: dict[str, str] = {}

    def skipped(self, error: UnusableObjectError) -> None:
        """See SourceObserver."""
        self._skipped.add(f"{error.kind} {error.key}")

    def listed(self, what: str, count: int) -> None:  # noqa: ARG002 - how many does not matter
        """See SourceObserver."""
        self._interrupted.pop(what, None)

    def interrupted(self, what: str, error: Exception) -> None:
        """See SourceObserver."""
        self._interrupted[what] = str(error)

    def resumed(self, what: str) -> None:
        """See SourceObserver."""
        self._interrupted.pop(what, None)

    def text(self) -> str:
        """All of it in a line; empty if all is well."""
        remarks = [f"{what}: {error}" for what, error in sorted(self._interrupted.items())]
        if self._skipped:
            remarks.append(f"{len(self._skipped)} objects cannot be used")
        return "; ".join(remarks)


class _Top:
    """What the screen asks for at each interval."""

    def __init__(self, settings: Settings, families: tuple[Family, ...]) -> None:
        self._reader = TrafficReader(settings, families)
        self._remarks = _Remarks()
        self._services: tuple[ServiceTraffic, ...] = ()
        self._source = settings.source
        self._state = ClusterState(lambda: None)

    @contextmanager
    def followed(self) -> Iterator[None]:
        """Follow the source meanwhile."""
        source = open_source(self._source, self._state, self._remarks)
        source.start()
        try:
            yield
        finally:
            source.stop()

    def read(self) -> Reading:
        """The busiest service ports first, and what is wrong; those of before if it failed."""
        picture = self._state.picture()
        if picture is None:
            waiting = self._remarks.text() or _waiting_for(self._source)
            return Reading((), waiting, is_early=True)
        try:
            services = self._reader.read(picture)
        except KernelError as error:
            return Reading(self._services, str(error))
        self._services = tuple(sorted(services, key=_business))
        return Reading(self._services, self._remarks.text())


def show_top(settings: Settings, families: tuple[Family, ...], interval_seconds: float) -> None:
    """Draw the table every ``interval_seconds`` until the user has enough.

    Raises:
        NoTerminalError: the output is no terminal.
        SourceError: there is nothing to follow.
    """
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise NoTerminalError("top needs a terminal; dataplane services prints the table once")
    top = _Top(settings, families)
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with top.followed():
            curses.wrapper(lambda window: Screen(window, top.read, interval_seconds).run())
    except curses.error as error:
        raise NoTerminalError(
            f"this terminal cannot be drawn on ({error}); set TERM to what it is"
        ) from error
    finally:
        logging.disable(before)


def _business(one: ServiceTraffic) -> tuple[float, int, str]:
    return -(one.connections.rate or 0.0), -one.connections.count, one.name


def _waiting_for(source: SourceSettings) -> str:
    return "waiting for the " + ("manifests" if source.manifests else "cluster")
