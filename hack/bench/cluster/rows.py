# SPDX-License-Identifier: Apache-2.0
"""The figures that reports and plots show of each contender."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from bench.cluster.costs import Case, ContenderResult, Cost, Way
from bench.cluster.floors import Floors
from bench.cluster.kernel_view import TableSizes
from dataplane.settings import SyncSettings

_MILLI: Final = 1e3
_MICRO: Final = 1e6
_MEBIBYTE: Final = 1 << 20
_SYNCS_A_MINUTE: Final = 60 / SyncSettings().sync_period_seconds


@dataclass(frozen=True, slots=True)
class Row:
    """One figure."""

    what: str
    unit: str
    reading: Callable[[ContenderResult], float | None]
    """In ``unit``; None where it was not measured."""


def _costs(case: Case, what: str, unit: str, reading: Callable[[Cost], float | None]) -> Row:
    def read(result: ContenderResult) -> float | None:
        cost = result.costs.get(case)
        return None if cost is None else reading(cost)

    return Row(f"{case.value}: {what}", unit, read)


def _wall_ms(cost: Cost) -> float:
    return cost.wall * _MILLI


def _cpu_ms(cost: Cost) -> float:
    return cost.cpu * _MILLI


def _count(cost: Cost) -> float | None:
    """Of replacements, each time."""
    return None if cost.replacements is None else len(cost.replacements) / len(cost.walls)


def _each_ms(times: Sequence[float] | None, cost: Cost) -> float | None:
    """For how long in all, each time."""
    return None if times is None else sum(times) / len(cost.walls) * _MILLI


def _replacing_ms(cost: Cost) -> float | None:
    return _each_ms(cost.replacements, cost)


def _held_ms(cost: Cost) -> float | None:
    return _each_ms(cost.lock_holds, cost)


COLD_START: Final = _costs(Case.COLD_START, "wall", "s", lambda cost: cost.wall)
CHANGE: Final = _costs(Case.CHANGE, "p50", "ms", _wall_ms)
CHANGE_CPU: Final = _costs(Case.CHANGE, "CPU each", "ms", _cpu_ms)
PEAK_MEMORY: Final = Row(
    "peak memory of the process tree", "MiB", lambda result: _positive(result.peak_rss / _MEBIBYTE)
)
RESTART: Final = _costs(Case.RESTART, "wall", "s", lambda cost: cost.wall)


def _positive(value: float) -> float | None:
    return value or None


def _starts(case: Case) -> Iterator[Row]:
    yield _costs(case, "CPU", "s", lambda cost: cost.cpu)
    yield _costs(case, "peak memory", "MiB", lambda cost: cost.peak_rss / _MEBIBYTE)
    yield _costs(case, "table replacements", "", _count)
    yield _costs(case, "replacing tables", "ms", _replacing_ms)
    yield _costs(case, "xtables lock held", "ms", _held_ms)


def _table(what: str, unit: str, reading: Callable[[TableSizes], float]) -> Row:
    def read(result: ContenderResult) -> float | None:
        return None if result.sizes is None else reading(result.sizes)

    return Row(what, unit, read)


def _floor(what: str, unit: str, reading: Callable[[Floors], float]) -> Row:
    def read(result: ContenderResult) -> float | None:
        return None if result.floors is None else reading(result.floors)

    return Row(what, unit, read)


def _latency(way: Way) -> Iterator[Row]:
    def tcp(result: ContenderResult) -> float | None:
        return result.latencies[way].tcp_connect * _MICRO if way in result.latencies else None

    def udp(result: ContenderResult) -> float | None:
        return result.latencies[way].udp_answer * _MICRO if way in result.latencies else None

    yield Row(f"TCP connect: {way.value}", "µs", tcp)
    yield Row(f"UDP first answer: {way.value}", "µs", udp)


LATENCIES: Final = {way: tuple(_latency(way)) for way in Way}
ROWS: Final = (
    COLD_START,
    *_starts(Case.COLD_START),
    _floor("of any start: loading Python's modules", "s", lambda floors: floors.loading),
    CHANGE,
    _costs(Case.CHANGE, "longest", "ms", lambda cost: max(cost.walls) * _MILLI),
    CHANGE_CPU,
    _costs(Case.CHANGE, "table replacements each", "", _count),
    _costs(Case.CHANGE, "replacing tables, each", "ms", _replacing_ms),
    _costs(Case.CHANGE, "xtables lock held each", "ms", _held_ms),
    _costs(Case.ADD, "wall", "ms", _wall_ms),
    _costs(Case.DELETE, "wall", "ms", _wall_ms),
    _costs(Case.BURST, "wall", "ms", _wall_ms),
    _costs(Case.BURST, "CPU", "ms", _cpu_ms),
    _costs(Case.BURST, "table replacements", "", _count),
    _costs(Case.BURST, "xtables lock held", "ms", _held_ms),
    _costs(Case.IDLE, "CPU a minute", "ms", lambda cost: _cpu_ms(cost) / cost.wall * 60),
    _floor(
        "of it: reading all tables once each sync period",
        "ms",
        lambda floors: floors.reading * _MILLI * _SYNCS_A_MINUTE,
    ),
    RESTART,
    *_starts(Case.RESTART),
    PEAK_MEMORY,
    _table("nat table: entries", "", lambda sizes: sizes.nat_entries),
    _table("nat table: size", "MiB", lambda sizes: sizes.nat_bytes / _MEBIBYTE),
    _table("filter table: entries", "", lambda sizes: sizes.filter_entries),
    *(row for rows in LATENCIES.values() for row in rows),
)
