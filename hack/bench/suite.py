# SPDX-License-Identifier: Apache-2.0
"""All measurements of one size, in order, each in a process of its own."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import ParamSpec, TypeVar

from bench import limits
from bench.building import BuildTimes, measure_building
from bench.clock import Sample
from bench.errors import BenchError
from bench.loading import measure_load, measure_restore, write_rules
from bench.objects import Shape
from bench.phases import PHASES
from bench.place import Place, empty
from bench.results import Row, Series, SizeResult, Unit
from bench.steady import SteadyTimes, measure_steady
from lab import Lab

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Suite:
    """Measures clusters, ``rounds`` times each thing; tells ``progress`` what comes next."""

    rounds: int
    progress: Callable[[str], None]

    def measure(self, shape: Shape) -> SizeResult:
        """Measure one size on machines that are removed afterwards.

        Raises:
            BenchError: the sides cannot be compared.
            LabError: no machines can be made here.
        """
        with Lab() as lab:
            ours, peer = map(Place.of, lab.add_hosts("ours", "peer"))
            rules_file = lab.folder / "all.rules"
            rules = _alone(write_rules, shape, rules_file)
            building = self._build(shape, ours)
            our_loads, peer_loads = self._load(shape, ours, peer, rules_file)
            self.progress(f"{shape.services} services: changes")
            steady = _alone(measure_steady, shape, ours, peer, lab.folder, self.rounds)
            for place in (ours, peer):
                empty(place, lab.folder)
        return SizeResult(
            services=shape.services,
            endpoints=shape.endpoints,
            rules=rules,
            entries=steady.entries,
            rows=(
                *_building_rows(building),
                Row(
                    "first full load, empty tables",
                    Series.of(our_loads),
                    Series.of(peer_loads),
                    limits.first_load_ratio(shape.services),
                    is_in_turns=True,
                ),
                *_steady_rows(steady),
            ),
            phases={phase: median(times[phase] for times in steady.phases) for phase in PHASES},
            idle_reads=steady.idle_reads,
            idle_commits=steady.idle_commits,
        )

    def _build(self, shape: Shape, place: Place) -> list[BuildTimes]:
        self.progress(f"{shape.services} services: build, encode, append")
        return [_alone(measure_building, shape, place) for _ in range(self.rounds)]

    def _load(
        self, shape: Shape, ours: Place, peer: Place, rules_file: Path
    ) -> tuple[list[Sample], list[Sample]]:
        our_times: list[Sample] = []
        peer_times: list[Sample] = []
        for number in range(self.rounds):
            self.progress(f"{shape.services} services: first load {number + 1} of {self.rounds}")
            for place in (ours, peer):
                empty(place, rules_file.parent)
            if number % 2:
                our_times.append(_alone(measure_load, shape, ours))
                peer_times.append(_alone(measure_restore, peer, rules_file))
            else:
                peer_times.append(_alone(measure_restore, peer, rules_file))
                our_times.append(_alone(measure_load, shape, ours))
        return our_times, peer_times


def _alone(
    work: Callable[Arguments, Result], *arguments: Arguments.args, **named: Arguments.kwargs
) -> Result:
    """Do ``work`` in a new process: memory and caches of other measurements would change it."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        try:
            return process.submit(work, *arguments, **named).result()
        except BrokenProcessPool as error:
            raise BenchError(
                "a measuring process was killed; if the kernel did it for want of memory, give "
                "fewer services (--sizes)"
            ) from error


def _building_rows(times: list[BuildTimes]) -> tuple[Row, ...]:
    per_rule = Unit.MICROSECONDS_A_RULE
    return (
        Row(
            "build from decoded objects",
            Series.of([time.build for time in times]),
            limit=limits.BUILD_MICROSECONDS_A_RULE,
            unit=per_rule,
        ),
        Row(
            "create chains",
            Series.of([time.create_chains for time in times]),
            unit=per_rule,
        ),
        Row(
            "encode and append",
            Series.of([time.encode_and_append for time in times]),
            limit=limits.ENCODE_AND_APPEND_MICROSECONDS_A_RULE,
            unit=per_rule,
        ),
    )


def _steady_rows(times: SteadyTimes) -> tuple[Row, ...]:
    peer = Series.of(times.peer)
    return (
        Row(
            "one endpoint change, event to commit",
            Series.of(times.change),
            peer,
            limits.ONE_CHANGE_RATIO,
            is_in_turns=True,
        ),
        Row("sync with nothing to do", Series.of(times.idle), peer, limits.NOTHING_TO_DO_RATIO),
        Row("sync that verifies, after a change", Series.of(times.verify), peer),
        Row("sync that verifies again", Series.of(times.verify_again), peer),
    )
