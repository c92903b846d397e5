# SPDX-License-Identifier: Apache-2.0
"""One scenario from its first object to the last trace of it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from kubernetes.client.exceptions import ApiException

from lab import LabError, wait_until
from rules.ir import Family
from tests.e2e.cluster import Cluster
from tests.e2e.evidence import keep_evidence
from tests.e2e.expecting import ExpectationFailedError, saved
from tests.e2e.node_proxy import ProxyEndedError
from tests.e2e.performing import perform
from tests.e2e.references import UnknownReferenceError
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
_FAILURES: Final = (
    ApiException,
    ExpectationFailedError,
    KeyError,
    LabError,
    ProxyEndedError,
    UnknownReferenceError,
)
"""What a step can meet that is a result of the scenario, and no defect of the runner."""


class ScenarioFailedError(Exception):
    """A scenario failed; the message says at which step, and where to look."""


def run_scenario(scenario: Scenario, cluster: Cluster, evidence: Path) -> None:
    """Play the scenario, then put the cluster back in order.

    Raises:
        ScenarioFailedError: something was not as expected; rules, logs and objects are in
            ``evidence``.
    """
    stage = Stage.of(cluster, scenario.name)
    try:
        _play(scenario, stage)
    except ScenarioFailedError as error:
        keep_evidence(stage, evidence, str(error))
        raise ScenarioFailedError(f"{error}\nrules, logs and objects are in {evidence}") from None
    finally:
        _restore(stage)


def _play(scenario: Scenario, stage: Stage) -> None:
    where = "before the first step"
    try:
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": stage.namespace}}
        for manifest in (namespace, *scenario.objects):
            stage.cluster.api.apply(stage.resolved(manifest), stage.namespace)
        for pod in scenario.pods:
            stage.pods.add(pod)
        for number, step in enumerate(scenario.steps, start=1):
            where = f"step {number} ({type(step).__name__}{step.note and f': {step.note}'})"
            perform(step, stage)
            for proxy in stage.cluster.proxies.values():
                proxy.check()
    except _FAILURES as error:
        raise ScenarioFailedError(f"{scenario.name}, {where}: {error}") from error


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
        for host in stage.cluster.machines.nodes.values()
        for family in Family
        for line in saved(host, family)
        if about.search(line)
    ]
