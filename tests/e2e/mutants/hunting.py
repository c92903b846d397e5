# SPDX-License-Identifier: Apache-2.0
"""Which scenario catches a mutant."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import msgspec

from kube.programs import programs_folder
from lab import wait_until
from rules import names
from rules.ir import Family, TableName
from tests.e2e.cluster import Cluster, node_proxies
from tests.e2e.errors import ProxyEndedError, ScenarioFailedError
from tests.e2e.expecting import saved
from tests.e2e.mutants.mutant import Mutant
from tests.e2e.running import run_scenario
from tests.e2e.schema import DEFAULT_SECONDS, AnyStep, Program, Scenario
from tests.kernel.node import PROGRAMS

KILLED_BY: Final = "killed by"
"""The property of a test that tells which scenario caught its mutant."""
_ROOT: Final = Path(__file__).parents[3]
_PATIENCE_SECONDS: Final = 8.0
"""Nearly all mutants make a scenario wait for what never comes."""
_START_SECONDS: Final = 60.0
_ATTEMPTS: Final = 3
"""A busy machine makes scenarios fail by chance, but not always at the same place."""


class UnsoundScenarioError(Exception):
    """A scenario fails without a fault, too: it cannot say anything of a mutant."""


@dataclass(slots=True)
class Hunt:
    """Plays scenarios on one cluster, with faults and without."""

    cluster: Cluster
    scenarios: Mapping[str, Scenario]
    _sound: set[str] = field(default_factory=set)

    def killer(self, mutant: Mutant, evidence: Path) -> str:
        """The first of the mutant's scenarios that fails by its fault; none if it survives.

        Raises:
            UnsoundScenarioError: one of them fails without the fault, too.
            ProxyEndedError: the mutant does not even run, which is no work of a scenario.
        """
        scenarios = [hurried(self.scenarios[name]) for name in mutant.scenarios]
        for scenario in scenarios:
            if scenario.name not in self._sound:
                self._ensure_sound(scenario, evidence / "without")
        with self._served_by(mutant) as cluster:
            for scenario in scenarios:
                failures = _failures(scenario, cluster, evidence / scenario.name)
                if any(re.search(mutant.symptom, failure) for failure in failures):
                    return scenario.name
        return ""

    def _ensure_sound(self, scenario: Scenario, evidence: Path) -> None:
        for proxy in self.cluster.proxies.values():
            proxy.bring_back()
        _await_programmed(self.cluster)
        failures = list(_failures(scenario, self.cluster, evidence / scenario.name))
        if len(failures) == _ATTEMPTS:
            raise UnsoundScenarioError(f"fails without a fault, too: {failures[-1]}")
        self._sound.add(scenario.name)

    @contextmanager
    def _served_by(self, mutant: Mutant) -> Iterator[Cluster]:
        """The same cluster with the mutant on its nodes; they are empty when it is gone."""
        for proxy in self.cluster.proxies.values():
            proxy.stop()
        agent = ("env", f"PYTHONPATH={_ROOT}", sys.executable, "-m", "tests.e2e.mutants")
        proxies = node_proxies(
            self.cluster.machines,
            self.cluster.control_plane,
            programs_folder(),
            Program.DATAPLANE,
            agent=(*agent, mutant.name),
        )
        cluster = replace(self.cluster, proxies=proxies)
        try:
            for proxy in cluster.proxies.values():
                proxy.start()
            _await_programmed(cluster)
            yield cluster
        finally:
            for proxy in cluster.proxies.values():
                proxy.stop()
            _empty_tables(cluster)


def _failures(scenario: Scenario, cluster: Cluster, evidence: Path) -> Iterator[str]:
    """What the scenario fails with, again and again until it passes."""
    for _ in range(_ATTEMPTS):
        try:
            run_scenario(scenario, cluster, evidence)
        except ScenarioFailedError as error:
            refuse_ended(error)
            yield str(error)
        else:
            return


def hurried(scenario: Scenario) -> Scenario:
    """The scenario, waiting less long for what usually takes a second."""
    return msgspec.structs.replace(scenario, steps=tuple(map(_hurried_step, scenario.steps)))


def _hurried_step(step: AnyStep) -> AnyStep:
    if getattr(step, "seconds", None) == DEFAULT_SECONDS:
        return msgspec.structs.replace(step, seconds=_PATIENCE_SECONDS)
    return step


def refuse_ended(failure: BaseException) -> None:
    """Raise what ended the mutant's program, if that is why the scenario failed."""
    cause: BaseException | None = failure
    while cause is not None:
        if isinstance(cause, ProxyEndedError):
            raise cause
        cause = cause.__cause__


def _await_programmed(cluster: Cluster) -> None:
    """Wait for the first rules of programs that found none: a start is no matter of a scenario."""

    def is_programmed() -> bool:
        for proxy in cluster.proxies.values():
            proxy.check()
        return all(
            sum(line.startswith(f":{names.SERVICES} ") for line in saved(node.machine, family))
            == len(TableName)
            for node in cluster.nodes.values()
            for family in Family
        )

    wait_until("all nodes have rules", is_programmed, seconds=_START_SECONDS, pause_seconds=0.1)


def _empty_tables(cluster: Cluster) -> None:
    """Take away what a mutant has left behind, and what scenarios could not take back."""
    for node in cluster.nodes.values():
        for program in PROGRAMS.values():
            for table in TableName:
                for action in ("-F", "-X"):
                    node.machine.run([program, "-w", "-t", table.value, action])
