# SPDX-License-Identifier: Apache-2.0
"""A table of service ports in a terminal, by the curses of the standard library."""

from __future__ import annotations

import curses
from collections.abc import Callable, Iterable
from contextlib import suppress
from time import monotonic
from typing import Final, NamedTuple

from rules.traffic.report import ServiceTraffic
from rules.traffic.words import services_table


class Reading(NamedTuple):
    """What is shown until the next one."""

    services: tuple[ServiceTraffic, ...]
    """In the order in which they are shown."""
    remark: str = ""
    is_early: bool = False
    """Whether there will soon be more to show."""


_KEYS: Final = "q quit   e endpoints   arrows, page keys scroll"
_HEAD: Final = 2
"""Lines above those that scroll: how it goes, and headings."""
_ESCAPE: Final = 27
_SOON_SECONDS: Final = 0.2


class Screen:
    """Reads at an interval and draws until the user quits."""

    def __init__(
        self, window: curses.window, read: Callable[[], Reading], interval_seconds: float
    ) -> None:
        self._window = window
        self._read = read
        self._interval_seconds = interval_seconds
        self._first = 0
        """The first line that is shown of those that scroll."""
        self._with_endpoints = False

    def run(self) -> None:
        """Return when the user quits."""
        with suppress(curses.error):  # a terminal without this does without it
            curses.curs_set(0)
        reading, due = self._next()
        while True:
            self._draw(reading)
            self._window.timeout(max(int((due - monotonic()) * 1000), 0))
            key = self._window.getch()
            if key in (ord("q"), _ESCAPE):
                return
            self._take(key)
            if monotonic() >= due:
                reading, due = self._next()

    def _next(self) -> tuple[Reading, float]:
        """A reading, and when the next one is due."""
        reading = self._read()
        return reading, monotonic() + (
            _SOON_SECONDS if reading.is_early else self._interval_seconds
        )

    def _take(self, key: int) -> None:
        """Do what a key asks for; -1 is none."""
        page = max(self._height - _HEAD, 1)
        steps = {
            curses.KEY_DOWN: 1,
            curses.KEY_UP: -1,
            curses.KEY_NPAGE: page,
            curses.KEY_PPAGE: -page,
        }
        self._first += steps.get(key, 0)
        if key == ord("e"):
            self._with_endpoints = not self._with_endpoints

    @property
    def _height(self) -> int:
        return self._window.getmaxyx()[0]

    def _draw(self, reading: Reading) -> None:
        services = reading.services
        (headings, *lines) = services_table(services, with_endpoints=self._with_endpoints)
        room = max(self._height - _HEAD, 0)
        self._first = min(max(self._first, 0), max(len(lines) - room, 0))
        self._window.erase()
        self._put(0, _status(services, reading.remark))
        self._put(1, headings, curses.A_REVERSE)
        for number, line in enumerate(lines[self._first : self._first + room]):
            self._put(_HEAD + number, line)
        self._window.refresh()

    def _put(self, row: int, text: str, attributes: int = curses.A_NORMAL) -> None:
        height, width = self._window.getmaxyx()
        if row < height:
            # The last cell of a window cannot be written without an error.
            self._window.addnstr(row, 0, text, width - 1, attributes)


def _status(services: Iterable[ServiceTraffic], remark: str) -> str:
    rates = [one.connections.rate for one in services if one.connections.rate is not None]
    return f"{sum(rates):.1f} connections per second   {remark or _KEYS}"
