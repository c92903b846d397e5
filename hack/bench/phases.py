# SPDX-License-Identifier: Apache-2.0
"""What of our time passes in which call of libiptc; the rest is our own code.

A table is read by libiptc's init and by readings of ours, and written by libiptc's commit, and
nowhere else: counting these calls shows whether the kernel's tables were touched at all.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

from bench.place import FAMILY
from dataplane.kernel import table_reading
from dataplane.kernel.libiptc import _library

READ, EDIT, COMMIT, FREE, REST = "read", "edit in memory", "commit", "free", "our own code"
PHASES = (READ, EDIT, COMMIT, FREE, REST)
_CALLS = {"init": READ, "commit": COMMIT, "free": FREE}


@dataclass(slots=True)
class CallTimes:
    """Calls by phase since the last :meth:`clear`."""

    seconds: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    count: Counter[str] = field(default_factory=Counter)

    def clear(self) -> None:
        """Start anew."""
        self.seconds.clear()
        self.count.clear()

    def shares(self, total_seconds: float) -> dict[str, float]:
        """Seconds by phase when all of it took ``total_seconds``."""
        rest = total_seconds - sum(self.seconds.values())
        return {phase: rest if phase == REST else self.seconds[phase] for phase in PHASES}


def instrument() -> CallTimes:
    """Time all of these calls from now on, which makes each a little slower.

    Only the agent's own bindings see every call, so it is these that are replaced.
    """
    times = CallTimes()
    library = _library(FAMILY)
    calls = [(library, name, _CALLS.get(name, EDIT)) for name in vars(library)]
    for owner, name, phase in (*calls, (table_reading, "table_option", READ)):
        setattr(owner, name, _timed(getattr(owner, name), phase, times))
    return times


def _timed(function: Callable[..., Any], phase: str, times: CallTimes) -> Callable[..., Any]:
    def call(*arguments: object) -> object:
        started = perf_counter()
        try:
            return function(*arguments)
        finally:
            times.seconds[phase] += perf_counter() - started
            times.count[phase] += 1

    return call
