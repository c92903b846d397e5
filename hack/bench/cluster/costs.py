# SPDX-License-Identifier: Apache-2.0
"""What was measured, in seconds and bytes, as values that reports are made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from statistics import median

from bench.cluster.contenders import Contender
from bench.cluster.floors import Floors
from bench.cluster.kernel_view import TableSizes
from bench.objects import Shape


class Case(Enum):
    """One kind of work, by its name in reports."""

    COLD_START = "cold start until complete"
    IDLE = "idle"
    CHANGE = "one endpoint change"
    ADD = "Service added, usable"
    DELETE = "Service deleted, gone"
    BURST = "burst of changes, all in force"
    RESTART = "restart until caught up"


@dataclass(frozen=True, slots=True)
class Cost:
    """One case of one contender: each time that it was done, and what all of them used."""

    walls: tuple[float, ...]
    """How long each one took until it could be seen in the kernel or by connecting."""
    cpu: float
    """Of processors, for one of them, with what the program did afterwards."""
    peak_rss: int
    """Bytes, of the process tree."""
    replacements: tuple[float, ...] | None
    """Of tables, in all of them together; None if that could not be traced."""
    lock_holds: tuple[float, ...] | None
    """Of the xtables lock, likewise."""

    @property
    def wall(self) -> float:
        """The median."""
        return median(self.walls)


def joined(costs: Sequence[Cost]) -> Cost:
    """Several rounds of one case as one: the median of what each used, and the highest peak."""
    return Cost(
        walls=tuple(wall for cost in costs for wall in cost.walls),
        cpu=median(cost.cpu for cost in costs),
        peak_rss=max(cost.peak_rss for cost in costs),
        replacements=_all_of([cost.replacements for cost in costs]),
        lock_holds=_all_of([cost.lock_holds for cost in costs]),
    )


def _all_of(rounds: Sequence[tuple[float, ...] | None]) -> tuple[float, ...] | None:
    known = [times for times in rounds if times is not None]
    return tuple(time for times in known for time in times) if known else None


class Way(Enum):
    """A connection, by where its address stands among the rules."""

    NO_RULES = "pod, no rules"
    """Straight to a pod of a node that tracks connections and has no rules for them."""
    POD = "pod"
    FIRST = "first VIP"
    MIDDLE = "middle VIP"
    LAST = "last VIP"


@dataclass(frozen=True, slots=True)
class Latency:
    """Median seconds of one way."""

    tcp_connect: float
    udp_answer: float
    """From the first datagram of a flow to its answer."""


@dataclass(frozen=True, slots=True)
class ContenderResult:
    """All about one contender at one size."""

    contender: Contender
    costs: dict[Case, Cost]
    sizes: TableSizes | None
    latencies: dict[Way, Latency]
    floors: Floors | None = None
    """Of our agent only."""

    @property
    def peak_rss(self) -> int:
        """Bytes, in whatever case it was."""
        return max((cost.peak_rss for cost in self.costs.values()), default=0)


@dataclass(frozen=True, slots=True)
class SizeResult:
    """All contenders at one size."""

    shape: Shape
    results: dict[Contender, ContenderResult]
    left_out: Mapping[Contender, str] = field(default_factory=dict)
    """Peers that could not be measured to the end, and why."""
