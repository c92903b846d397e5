# SPDX-License-Identifier: Apache-2.0
"""All that is measured at one size: one contender after the other, never two at once.

Each start is a fresh node's, and the contenders take turns with them: a machine may be faster or
slower some minutes later.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.cluster.cases import put_back
from bench.cluster.contenders import Contender
from bench.cluster.costs import Case, ContenderResult, Cost, SizeResult, joined
from bench.cluster.floors import measure_floors
from bench.cluster.left_out import LeftOut
from bench.cluster.loaded import measure_loaded
from bench.cluster.metering import ProcessTree
from bench.cluster.paths import measure_ways
from bench.cluster.probing import CANARY, CANARY_SLICE
from bench.cluster.session import Plan, Session, session
from bench.cluster.site import Machines, Site, fresh_node, running_site
from bench.cluster.sizes import Scope, Size
from bench.cluster.tracing import Trace
from bench.objects import Cluster, make_cluster
from kube.proxies import INSTALLED

_REST_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class Suite:
    """Measures sizes; tells ``progress`` what comes next."""

    contenders: Sequence[Contender]
    plan: Plan
    programs: Path
    trace: Trace | None
    progress: Callable[[str], None]
    agent: Sequence[str] = INSTALLED
    """The command of our program."""

    def measure(self, size: Size) -> Iterator[SizeResult]:
        """Measure all contenders with one control plane; after each, tell all that is known.

        A peer that does not do what all must do is left out from there on, and the result says why.

        Raises:
            BenchError: our agent did not do it.
            LabError: no machines can be made here.
        """
        cluster = make_cluster(size.shape)
        if size.scope is Scope.PATHS:
            self.progress(f"{size.shape}: connections")
            yield SizeResult(size.shape, measure_loaded(cluster, self.contenders))
            return
        with running_site(self.programs, cluster, self.agent) as site:
            self.progress(f"{size.shape}: filling the cluster")
            site.api.fill(cluster)
            site.api.create(CANARY, CANARY_SLICE)
            left_out = LeftOut(
                self.progress, lambda: put_back(cluster, site.api, self.plan.changes)
            )
            starts: dict[Contender, list[Cost]] = {contender: [] for contender in self.contenders}
            for turn in range(self.plan.rounds if size.scope is Scope.ALL else 1):
                for contender in self._remaining(left_out):
                    self.progress(f"{size.shape}: {contender.value}, start {turn + 1}")
                    with (
                        left_out.on_failure(contender),
                        fresh_node(site.machine) as machines,
                        self._on(machines, contender, cluster, site) as running,
                    ):
                        starts[contender].append(running.cases.cold_start())
            results: dict[Contender, ContenderResult] = {}
            for contender in self._remaining(left_out):
                self.progress(f"{size.shape}: {contender.value}")
                with left_out.on_failure(contender):
                    results[contender] = self._measure(
                        contender, cluster, site, size.scope, starts[contender]
                    )
                yield SizeResult(size.shape, dict(results), left_out.reasons)

    def _remaining(self, left_out: LeftOut) -> list[Contender]:
        return [contender for contender in self.contenders if contender not in left_out.reasons]

    def _measure(
        self,
        contender: Contender,
        cluster: Cluster,
        site: Site,
        scope: Scope,
        starts: Sequence[Cost],
    ) -> ContenderResult:
        """All cases, and the rules that they leave; ``starts`` were measured before."""
        with fresh_node(site.machine) as machines:
            with self._on(machines, contender, cluster, site) as running:
                running.cases.cold_start()
                rest = running.all(self.plan) if scope is Scope.ALL else running.changes_only()
            with machines.node.entered():
                sizes = contender.view.sizes() if contender.view.sizes else None
            floors = measure_floors(site.agent, machines.node) if contender.is_ours else None
            latencies = measure_ways(contender, machines, cluster)
        costs = {Case.COLD_START: joined(starts), **rest}
        return ContenderResult(contender, costs, sizes, latencies, floors)

    @contextmanager
    def _on(
        self, machines: Machines, contender: Contender, cluster: Cluster, site: Site
    ) -> Iterator[Session]:
        """A contender that may start, once all others, and the API server, have nothing to do."""
        ProcessTree(os.getpid()).wait_until_quiet(at_least=_REST_SECONDS)
        with session(contender, cluster, site, machines, self.trace) as running:
            yield running
