# SPDX-License-Identifier: Apache-2.0
"""What follows the first load: one endpoint changes, nothing changes, everything is verified."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bench.agent import Agent
from bench.clock import Sample, timed
from bench.errors import BenchError
from bench.objects import Cluster, Shape, make_cluster, without_first_endpoint
from bench.phases import COMMIT, READ, CallTimes, instrument
from bench.place import FAMILY, Place, restore, saved_rules
from bench.rewrite import rewrite_text
from dataplane.kernel.table_info import table_info
from rules.ir import TableName
from rules.model import EndpointSlice, ServiceState
from rules.service import build_service

_IDLE_SYNCS_A_ROUND: Final = 10


@dataclass(frozen=True, slots=True)
class Change:
    """A new version of one slice, and the peer's input for the same."""

    endpoint_slice: EndpointSlice
    rewrite: str


@dataclass(slots=True)
class SteadyTimes:
    """Samples of both sides; those of the peer are of one changed endpoint."""

    entries: int = 0
    """Of both tables, as the kernel counts them."""
    change: list[Sample] = field(default_factory=list)
    peer: list[Sample] = field(default_factory=list)
    idle: list[Sample] = field(default_factory=list)
    verify: list[Sample] = field(default_factory=list)
    """The first after a change, which compares all rules."""
    verify_again: list[Sample] = field(default_factory=list)
    """With no change since the one before."""
    phases: list[dict[str, float]] = field(default_factory=list)
    """Seconds by phase, for each of some more changes."""
    idle_reads: int = 0
    idle_commits: int = 0


def measure_steady(
    shape: Shape, ours: Place, peer: Place, folder: Path, rounds: int
) -> SteadyTimes:
    """Follow changes on ``ours``, side by side with ``peer``; both hold all rules already.

    Raises:
        BenchError: the sides did not end with the same rules.
    """
    cluster = make_cluster(shape)
    times = SteadyTimes()
    rewrite = folder / "rewrite.rules"
    with ours.entered():
        agent = Agent(cluster)
        agent.load()
        times.entries = sum(table_info(FAMILY, table).entries for table in TableName)
    for number, change in enumerate(_changes(cluster, rounds)):
        rewrite.write_text(change.rewrite)
        # Both directions of a change meet both orders.
        if number % 4 in (1, 2):
            _follow(agent, ours, change, times.change)
            _restore(peer, rewrite, times.peer)
        else:
            _restore(peer, rewrite, times.peer)
            _follow(agent, ours, change, times.change)
        if number % 2:
            _rest(agent, ours, times)
    _require_equal(ours, peer)
    _look_inside(agent, ours, _changes(cluster, rounds), times)
    return times


def _changes(cluster: Cluster, rounds: int) -> Iterator[Change]:
    """Each round, an endpoint of another plain Service stops being ready, and is ready again."""
    positions = cluster.plain_positions()
    for number in range(rounds):
        position = positions[(2 * number + 1) * len(positions) // (2 * rounds)]
        with_all = cluster.slices[position]
        with_one_less = without_first_endpoint(with_all)
        before, after = (
            build_service(
                ServiceState(cluster.services[position], (endpoint_slice,)), cluster.context
            ).chains
            for endpoint_slice in (with_all, with_one_less)
        )
        yield Change(with_one_less, rewrite_text(before, after, FAMILY))
        yield Change(with_all, rewrite_text(after, before, FAMILY))


def _follow(agent: Agent, place: Place, change: Change, samples: list[Sample]) -> None:
    with place.entered(), timed(samples):
        agent.follow(change.endpoint_slice)


def _restore(place: Place, rewrite: Path, samples: list[Sample]) -> None:
    with place.entered(), timed(samples):
        restore(rewrite, "--noflush")


def _rest(agent: Agent, place: Place, times: SteadyTimes) -> None:
    with place.entered():
        for _ in range(_IDLE_SYNCS_A_ROUND):
            with timed(times.idle):
                agent.sync()
        for samples in (times.verify, times.verify_again):
            with timed(samples):
                report = agent.sync(verify=True)
            if not all(table.is_empty for table in report.tables.values()):
                raise BenchError("a sync found something to repair where nobody else had written")


def _look_inside(agent: Agent, place: Place, changes: Iterator[Change], times: SteadyTimes) -> None:
    calls: CallTimes = instrument()
    with place.entered():
        for change in changes:
            calls.clear()
            whole: list[Sample] = []
            with timed(whole):
                agent.follow(change.endpoint_slice)
            times.phases.append(calls.shares(whole[0].wall))
            if not calls.count[READ] or not calls.count[COMMIT]:
                raise BenchError("a change was followed without reading and writing a table")
        # Counts of zero mean something only if reads of either kind are seen.
        for _ in range(2):
            calls.clear()
            agent.sync(verify=True)
            if not calls.count[READ]:
                raise BenchError("rules were verified without reading a table")
        calls.clear()
        for _ in range(_IDLE_SYNCS_A_ROUND):
            agent.sync()
    times.idle_reads, times.idle_commits = calls.count[READ], calls.count[COMMIT]


def _require_equal(one: Place, other: Place) -> None:
    if saved_rules(one) != saved_rules(other):
        raise BenchError("the two sides do not hold the same rules, so they cannot be compared")
