# SPDX-License-Identifier: Apache-2.0
"""What was measured, what is asked for, and whether they agree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from statistics import median

from bench.clock import Sample


class Unit(Enum):
    """How seconds are shown."""

    MILLISECONDS = ("ms", 1e3)
    MICROSECONDS_A_RULE = ("µs a rule", 1e6)

    @property
    def symbol(self) -> str:
        """Its name in print."""
        return self.value[0]

    def of(self, seconds: float) -> float:
        """How many of it are in ``seconds``."""
        return seconds * self.value[1]


class Verdict(Enum):
    """Whether a limit is kept."""

    MET = "met"
    MISSED = "missed"
    NONE = ""
    """There is no limit."""


@dataclass(frozen=True, slots=True)
class Series:
    """Repeated measurements of one thing."""

    samples: tuple[Sample, ...]

    @classmethod
    def of(cls, samples: Sequence[Sample]) -> Series:
        """All of ``samples``."""
        return cls(tuple(samples))

    @property
    def median(self) -> float:
        """The median by the clock on the wall, in seconds."""
        return median(sample.wall for sample in self.samples)

    @property
    def minimum(self) -> float:
        """The shortest by the clock on the wall, in seconds."""
        return min(sample.wall for sample in self.samples)

    @property
    def median_cpu(self) -> float:
        """The median of processor time, in seconds."""
        return median(sample.cpu for sample in self.samples)


@dataclass(frozen=True, slots=True)
class Row:
    """One measurement, alone or next to its peer."""

    what: str
    ours: Series
    peer: Series | None = None
    limit: float | None = None
    """Of the ratio if there is a peer, else of our median in ``unit``."""
    unit: Unit = Unit.MILLISECONDS
    is_in_turns: bool = False
    """Whether each of our samples was taken right before or after one of the peer's."""

    @property
    def ratio(self) -> float | None:
        """Of ours to the peer's: the median of the turns' ratios, or the ratio of the medians.

        A machine that other programs slow down for a while slows both sides of a turn.
        """
        if self.peer is None:
            return None
        if self.is_in_turns:
            turns = zip(self.ours.samples, self.peer.samples, strict=True)
            return median(ours.wall / peer.wall for ours, peer in turns)
        return self.ours.median / self.peer.median

    @property
    def ratio_of_minima(self) -> float | None:
        """Our shortest to the peer's."""
        return self.ours.minimum / self.peer.minimum if self.peer else None

    @property
    def ratio_of_cpu(self) -> float | None:
        """Our median of processor time to the peer's: noise of other programs shows less in it."""
        return self.ours.median_cpu / self.peer.median_cpu if self.peer else None

    @property
    def verdict(self) -> Verdict:
        """Whether the limit is kept, judged by medians."""
        if self.limit is None:
            return Verdict.NONE
        ratio = self.ratio
        judged = self.unit.of(self.ours.median) if ratio is None else ratio
        return Verdict.MET if judged <= self.limit else Verdict.MISSED


@dataclass(frozen=True, slots=True, kw_only=True)
class SizeResult:
    """All that was measured at one size."""

    services: int
    endpoints: int
    rules: int
    entries: int
    """As the kernel counts them: rules, chain heads and ends."""
    rows: tuple[Row, ...]
    phases: dict[str, float]
    """Median seconds of one endpoint change by phase."""
    idle_reads: int
    """Of tables, in the syncs with nothing to do that were watched."""
    idle_commits: int
