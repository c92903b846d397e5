# SPDX-License-Identifier: Apache-2.0
"""One contender on one node, from its first start to its last end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from bench.cluster.cases import Cases
from bench.cluster.contenders import Contender, Starter
from bench.cluster.costs import Case, Cost, joined
from bench.cluster.meter import Meter
from bench.cluster.site import Machines, Site
from bench.cluster.tracing import Trace
from bench.errors import BenchError
from bench.objects import Cluster

_FEW_CHANGES: Final = 2
_LOG_LINES: Final = 5
_REST_SECONDS: Final = 3.0
"""After a start, for what a program does only once."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is done with each contender."""

    rounds: int
    """Of starts, bursts, additions and restarts."""
    idle_seconds: float
    changes: int = 8
    """Of single endpoints, half of them back to what was before."""


@dataclass(frozen=True, slots=True)
class Session:
    """A contender at work."""

    cases: Cases
    meter: Meter

    def changes_only(self) -> dict[Case, Cost]:
        """The least that follows a cold start, for clusters that take very long."""
        return {Case.CHANGE: self.cases.changes(_FEW_CHANGES)}

    def all(self, plan: Plan) -> dict[Case, Cost]:
        """All that follows a cold start."""
        self.meter.rest(_REST_SECONDS)
        rounds = range(plan.rounds)
        costs = {
            Case.IDLE: self.meter.idle(plan.idle_seconds),
            Case.CHANGE: self.cases.changes(plan.changes),
        }
        additions, deletions = zip(*(self.cases.delete_and_add() for _ in rounds), strict=True)
        costs[Case.ADD], costs[Case.DELETE] = joined(additions), joined(deletions)
        costs[Case.BURST] = joined([self.cases.burst() for _ in rounds])
        costs[Case.RESTART] = joined([self.cases.restart() for _ in rounds])
        return costs


@contextmanager
def session(
    contender: Contender, cluster: Cluster, site: Site, machines: Machines, trace: Trace | None
) -> Iterator[Session]:
    """Prepare ``contender`` on a fresh node; it is ended with the block, and its rules stay.

    Raises:
        BenchError: it did not do what all must do; with the last lines of its log.
    """
    if trace is not None:
        trace.follow_lock(machines.node.lock_file)
    starter = Starter(contender, site, machines)
    meter = Meter(starter.start, trace)
    try:
        yield Session(Cases(contender, cluster, site.api, machines, meter), meter)
    except BenchError as error:
        lines = starter.log.read_text().splitlines() if starter.log.exists() else []
        last_words = "\n".join(lines[-_LOG_LINES:])
        raise BenchError(f"{contender.value}: {error}\n{last_words}") from error
    finally:
        meter.stop()
