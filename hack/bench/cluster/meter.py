# SPDX-License-Identifier: Apache-2.0
"""One contender at work: starting and ending it, and measuring what it does meanwhile."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from subprocess import Popen
from time import monotonic, sleep
from typing import Final

from bench.cluster.costs import Cost
from bench.cluster.metering import ProcessTree
from bench.cluster.tracing import Trace, Traced
from bench.errors import BenchError

_STOP_SECONDS: Final = 60.0
_AT_MOST_SECONDS: Final = 600.0
"""For anything that is waited for."""


@dataclass(slots=True)
class Run:
    """What is being measured; complete once the block that began it has ended."""

    walls: list[float] = field(default_factory=list)
    cost: Cost | None = None

    def known_cost(self) -> Cost:
        """The cost of a measurement that has ended."""
        if self.cost is None:
            raise BenchError("a cost was asked for before it was measured")
        return self.cost


class Meter:
    """Runs one contender on one node."""

    def __init__(self, start: Callable[[], Popen[bytes]], trace: Trace | None) -> None:
        """Start it by calling ``start``, when told to."""
        self._start = start
        self._trace = trace
        self._process: Popen[bytes] | None = None

    @property
    def tree(self) -> ProcessTree:
        """Its processes.

        Raises:
            BenchError: it does not run.
        """
        return ProcessTree(self._require_alive().pid)

    @contextmanager
    def starting(self) -> Iterator[Run]:
        """Start it and measure the block, from its first instruction until it has calmed down."""
        self._take()
        run = Run()
        self._process = self._start()
        with self.tree.watched() as peak:
            yield run
            self.tree.wait_until_quiet(at_least=2.0)
        run.cost = self._cost(run, self.tree.cpu_seconds(), peak.rss_bytes)

    @contextmanager
    def working(self) -> Iterator[Run]:
        """Measure the block, and what it does until it has calmed down."""
        self._take()
        run = Run()
        before = self.tree.cpu_seconds()
        with self.tree.watched() as peak:
            yield run
            self.tree.wait_until_quiet(at_least=1.0)
        run.cost = self._cost(run, self.tree.cpu_seconds() - before, peak.rss_bytes)

    def rest(self, seconds: float) -> None:
        """Wait that long, and until it has calmed down."""
        self.tree.wait_until_quiet(at_least=seconds)

    def idle(self, seconds: float) -> Cost:
        """What it does when nothing happens."""
        self._take()
        before = self.tree.cpu_seconds()
        with self.tree.watched() as peak:
            sleep(seconds)
        run = Run([seconds])
        return self._cost(run, self.tree.cpu_seconds() - before, peak.rss_bytes)

    def seconds_until(
        self, what: str, condition: Callable[[], bool], *, since: float, pause: float
    ) -> float:
        """How long after ``since``, a time of the monotonic clock, the condition held.

        Raises:
            BenchError: it did not hold in time, or the program ended.
        """
        while not condition():
            self._require_alive()
            if monotonic() > since + _AT_MOST_SECONDS:
                raise BenchError(f"waited {_AT_MOST_SECONDS:g} s in vain until {what}")
            sleep(pause)
        return monotonic() - since

    def stop(self) -> None:
        """End it politely; its rules stay."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(_STOP_SECONDS)
        self._process = None

    def _require_alive(self) -> Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            raise BenchError("the program that is measured does not run")
        return self._process

    def _cost(self, run: Run, cpu: float, peak: int) -> Cost:
        traced = self._take()
        return Cost(
            walls=tuple(run.walls),
            cpu=cpu / max(len(run.walls), 1),
            peak_rss=peak,
            replacements=traced.replacements if traced else None,
            lock_holds=traced.lock_holds if traced else None,
        )

    def _take(self) -> Traced | None:
        return self._trace.take() if self._trace else None
