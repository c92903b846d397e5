# SPDX-License-Identifier: Apache-2.0
"""One scenario from its first object to the last trace of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from lab import LabError, wait_until
from rules.ir import Family
from tests.e2e.backend import Backend
from tests.e2e.errors import ScenarioFailedError, StepFailedError
from tests.e2e.evidence import keep_evidence
from tests.e2e.expecting import saved
from tests.e2e.performing import perform
from tests.e2e.schema import Scenario
from tests.e2e.stage import Stage

_FORGET_SECONDS: Final = 30.0
# In this order nothing is served for a moment by endpoints that are going.
_KINDS: Final = (
    ("v1", "Service"),
    ("discovery.k8s.io/v1", "EndpointSlice"),
    ("v1", "Endpoints"),
    ("v1", "Pod"),
)
_FAILURES: Final = (StepFailedError, LabError)
"""What a step can meet that is a result of the scenario, and no defect of the runner."""


def run_scenario(scenario: Scenario, cluster: Backend, evidence: Path) -> None:
    """Play the scenario, then put the cluster back in order.

    Raises:
        ScenarioFailedError: something was not as expected; rules, logs and objects are in
            ``evidence``.
    """
    stage = Stage.of(cluster, scenario.name)
    try:
        with _evidence_kept(stage, evidence):
            _play(scenario, stage)
    finally:
        with _evidence_kept(stage, evidence / "afterwards"):
            _restore(stage)


@contextmanager
def _evidence_kept(stage: Stage, folder: Path) -> Iterator[None]:
    try:
        yield
    except _FAILURES as error:
        failure = f"{stage.namespace}: {error}"
        keep_evidence(stage, folder, failure)
        raise ScenarioFailedError(f"{failure}\nrules, logs and objects are in {folder}") from error


def _play(scenario: Scenario, stage: Stage) -> None:
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": stage.namespace}}
    for manifest in (namespace, *scenario.objects):
        stage.cluster.api.apply(stage.resolved(manifest), stage.namespace)
    for pod in scenario.pods:
        stage.pods.add(pod)
    for number, step in enumerate(scenario.steps, start=1):
        try:
            perform(step, stage)
            for proxy in stage.cluster.proxies.values():
                proxy.check()
        except _FAILURES as error:
            note = f": {step.note}" if step.note else ""
            where = f"step {number} ({type(step).__name__}{note})"
            raise StepFailedError(f"{where}: {error}") from error


def _restore(stage: Stage) -> None:
    """Undo all that steps can have done, and wait until the nodes have forgotten the scenario."""
    cluster = stage.cluster
    for questioner in stage.questioners():
        questioner.stop()
    for conversations in stage.conversations.values():
        for _, conversation in conversations:
            conversation.close()
    if not stage.api_server_is_up:
        cluster.control_plane.start_apiserver()
    for proxy in cluster.proxies.values():
        proxy.bring_back()
    for version, kind in _KINDS:
        cluster.api.delete_all(version, kind, stage.namespace)
    if stage.nodes_are_changed:
        cluster.register_nodes()
    wait_until(
        f"no rule is about {stage.namespace} any more",
        lambda: not _traces(stage),
        seconds=_FORGET_SECONDS,
        pause_seconds=0.1,
    )
    stage.pods.release()


def _traces(stage: Stage) -> list[str]:
    """Rules that are about a Service of the scenario, on any node."""
    about = re.compile(rf'--comment "?{re.escape(stage.namespace)}/')
    return [
        line
        for node in stage.cluster.nodes.values()
        for family in Family
        for line in saved(node.machine, family)
        if about.search(line)
    ]
