# SPDX-License-Identifier: Apache-2.0
"""Processor time and memory of a program and all that it starts, as the kernel counts them.

Processor time is user and system time: of live processes by their clocks, and of the children that
they waited for by ``/proc``, in hundredths of a second, so that no short-lived tool is missed.
Memory is the sum of the resident sets, sampled: a peak that is shorter than a sample's pause may be
missed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from time import clock_gettime, monotonic, sleep
from typing import Final

from bench.errors import BenchError

SAMPLE_PAUSE_SECONDS: Final = 0.02
_TICK_SECONDS: Final = 1 / os.sysconf("SC_CLK_TCK")
_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")
_TIMES_OF_CHILDREN: Final = slice(13, 15)
"""cutime and cstime in ``stat`` of a process, behind its name."""
_CLOCK_OF_PROCESS: Final = 2
"""CPUCLOCK_SCHED: with the process's number, the clock that ``clock_getcpuclockid`` would name."""
_QUIET_PAUSE_SECONDS: Final = 0.1
_QUIET_LOOKS: Final = 4
_GONE: Final = (FileNotFoundError, ProcessLookupError)


@dataclass(slots=True)
class Peak:
    """The largest sum of resident sets so far."""

    rss_bytes: int = 0


@dataclass(frozen=True, slots=True)
class ProcessTree:
    """A process and its descendants, by the number of the first."""

    root: int

    def cpu_seconds(self) -> float:
        """Of all of them until now."""
        return sum(_cpu_seconds(process) for process in self._processes())

    def rss_bytes(self) -> int:
        """Of those that live now."""
        return sum(_resident_pages(process) for process in self._processes()) * _PAGE_BYTES

    @contextmanager
    def watched(self) -> Iterator[Peak]:
        """Sample the memory in the block."""
        peak, stopped = Peak(), Event()

        def look() -> None:
            peak.rss_bytes = max(peak.rss_bytes, self.rss_bytes())

        def look_again() -> None:
            while not stopped.wait(SAMPLE_PAUSE_SECONDS):
                look()

        look()
        sampler = Thread(target=look_again, name="memory sampler", daemon=True)
        sampler.start()
        try:
            yield peak
        finally:
            stopped.set()
            sampler.join()
            look()

    def wait_until_quiet(self, *, at_least: float = 0.0, at_most: float = 120.0) -> None:
        """Return once they have used next to no processor time for some tenths of a second.

        Raises:
            BenchError: that did not happen, or the first of them ended.
        """
        started = monotonic()
        quiet, before = 0, self.cpu_seconds()
        while quiet < _QUIET_LOOKS or monotonic() < started + at_least:
            if monotonic() > started + at_most:
                raise BenchError(f"process {self.root} was still busy after {at_most:g} s")
            sleep(_QUIET_PAUSE_SECONDS)
            now = self.cpu_seconds()
            if not now:
                raise BenchError(f"process {self.root} has ended")
            quiet = quiet + 1 if now - before <= _TICK_SECONDS else 0
            before = now

    def _processes(self) -> Iterator[Path]:
        waiting = [self.root]
        while waiting:
            process = Path("/proc", str(waiting.pop()))
            yield process
            with suppress(*_GONE):
                for thread in (process / "task").iterdir():
                    with suppress(*_GONE):
                        waiting.extend(map(int, (thread / "children").read_text().split()))


def _cpu_seconds(process: Path) -> float:
    # A clock without its process is an invalid one.
    with suppress(OSError):
        fields = (process / "stat").read_text().rpartition(")")[2].split()
        children = sum(map(int, fields[_TIMES_OF_CHILDREN])) * _TICK_SECONDS
        return children + clock_gettime(~int(process.name) << 3 | _CLOCK_OF_PROCESS)
    return 0.0


def _resident_pages(process: Path) -> int:
    with suppress(*_GONE):
        return int((process / "statm").read_text().split()[1])
    return 0
