# SPDX-License-Identifier: Apache-2.0
"""Times of one piece of work: by the clock on the wall, and of processors."""

from __future__ import annotations

import resource
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter, process_time


@dataclass(frozen=True, slots=True)
class Sample:
    """How long something took once, in seconds."""

    wall: float
    cpu: float
    """User and system time of this process and of the children that it waited for."""

    def divided_by(self, count: int) -> Sample:
        """What one of ``count`` equal parts took."""
        return Sample(self.wall / count, self.cpu / count)


@contextmanager
def timed(samples: list[Sample]) -> Iterator[None]:
    """Add to ``samples`` how long the block took."""
    cpu = _cpu_seconds()
    wall = perf_counter()
    yield
    samples.append(Sample(perf_counter() - wall, _cpu_seconds() - cpu))


def total(samples: Iterable[Sample]) -> Sample:
    """What all of ``samples`` took, one after the other."""
    parts = tuple(samples)
    return Sample(sum(part.wall for part in parts), sum(part.cpu for part in parts))


def _cpu_seconds() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return process_time() + children.ru_utime + children.ru_stime
