# SPDX-License-Identifier: Apache-2.0
"""All that is measured at one size, in order: one contender after the other, never two at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.cluster.contenders import Contender
from bench.cluster.costs import Case, ContenderResult, Cost, SizeResult, joined
from bench.cluster.floors import measure_floors
from bench.cluster.loaded import measure_loaded
from bench.cluster.paths import measure_ways
from bench.cluster.probing import CANARY, CANARY_SLICE
from bench.cluster.session import Plan, session
from bench.cluster.site import Site, fresh_node, running_site
from bench.cluster.sizes import Scope, Size
from bench.cluster.tracing import Trace
from bench.objects import Cluster, make_cluster
from kube.proxies import INSTALLED


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

        Raises:
            BenchError: a contender did not do what all must do.
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
            results: dict[Contender, ContenderResult] = {}
            for contender in self.contenders:
                self.progress(f"{size.shape}: {contender.value}")
                results[contender] = self._measure(contender, cluster, site, size.scope)
                yield SizeResult(size.shape, dict(results))

    def _measure(
        self, contender: Contender, cluster: Cluster, site: Site, scope: Scope
    ) -> ContenderResult:
        starts: list[Cost] = []
        for _ in range(self.plan.rounds - 1 if scope is Scope.ALL else 0):
            with (
                fresh_node(site.machine) as machines,
                session(contender, cluster, site, machines, self.trace) as running,
            ):
                starts.append(running.cases.cold_start())
        with fresh_node(site.machine) as machines:
            with session(contender, cluster, site, machines, self.trace) as running:
                starts.append(running.cases.cold_start())
                rest = running.all(self.plan) if scope is Scope.ALL else running.changes_only()
            with machines.node.entered():
                sizes = contender.view.sizes() if contender.view.sizes else None
            floors = measure_floors(site.agent, machines.node) if contender.is_ours else None
            latencies = measure_ways(contender, machines, cluster)
        costs = {Case.COLD_START: joined(starts), **rest}
        return ContenderResult(contender, costs, sizes, latencies, floors)
