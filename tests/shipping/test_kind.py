# SPDX-License-Identifier: Apache-2.0
"""e2e.sh of hack/kind: what it does in which order, and what it leaves. Without Docker."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest
import yaml

from lab import wait_until
from tests.e2e.kind.machines import CLIENT_CONTAINER
from tests.shipping.kind_desk import INTERNAL_SERVER, PROGRAMS, KindDesk
from tests.shipping.places import HACK, REPOSITORY

_KIND: Final = HACK / "kind"
_CLUSTER: Final = "kube-dataplane-e2e"
_IMAGE: Final = "localhost/kube-dataplane:kind-e2e"
_DELETE: Final = f"kind delete cluster --name {_CLUSTER}"
_REMOVE_CLIENT: Final = f"docker rm --force {CLIENT_CONTAINER}"
_REMOVE_IMAGE: Final = f"docker image rm --force {_IMAGE}"
_STEPS: Final = (
    f"docker build --file hack/Dockerfile --tag {_IMAGE}",
    "kind create cluster --config hack/kind/cluster.yaml",
    f"kind load docker-image {_IMAGE} --name {_CLUSTER}",
    f"kind get kubeconfig --internal --name {_CLUSTER}",
    "kubectl apply --filename",
    "kubectl --namespace kube-system rollout status daemonset/kube-dataplane",
    "kubectl wait node --all --for condition=Ready",
    "kubectl --namespace kube-system rollout status deployment/coredns",
)
_COLLECT_ONLY: Final = ("--collect-only", "--quiet")


@pytest.fixture
def desk(tmp_path: Path) -> KindDesk:
    """A machine with all three programs, and one cluster of somebody else."""
    return KindDesk(tmp_path)


def _in_order(calls: list[str]) -> list[str]:
    """The steps among the calls, in the order of the calls."""
    return [step for call in calls for step in _STEPS if call.startswith(step)]


def test_the_steps_of_a_run(desk: KindDesk) -> None:
    """Image, cluster, agent and health come in this order; then all of it is removed."""
    code, said = desk.run(*_COLLECT_ONLY)

    assert code == 0, said
    assert _in_order(desk.calls) == list(_STEPS)
    assert desk.calls[-3:] == [_REMOVE_CLIENT, _DELETE, _REMOVE_IMAGE]
    assert not desk.leftovers


def test_what_is_applied_fits_the_cluster(desk: KindDesk) -> None:
    """The manifest has the image that was loaded, and the server that kind names for the nodes."""
    desk.fail("kubectl wait")
    desk.run(*_COLLECT_ONLY)

    objects = {one["kind"]: one for one in yaml.safe_load_all(desk.applied)}
    pod = objects["DaemonSet"]["spec"]["template"]["spec"]
    access = yaml.safe_load(objects["ConfigMap"]["data"]["kubeconfig.conf"])
    assert {one["image"] for one in (*pod["initContainers"], *pod["containers"])} == {_IMAGE}
    assert access["clusters"][0]["cluster"]["server"] == INTERNAL_SERVER


@pytest.mark.parametrize("step", _STEPS)
def test_a_step_that_fails(desk: KindDesk, step: str) -> None:
    """The run fails, nothing is done after it, and cluster and image are removed all the same."""
    desk.fail(step)

    code, _ = desk.run(*_COLLECT_ONLY)

    assert code != 0
    assert _in_order(desk.calls) == list(_STEPS[: _STEPS.index(step) + 1])
    assert desk.calls[-3:] == [_REMOVE_CLIENT, _DELETE, _REMOVE_IMAGE]
    assert not desk.leftovers


def test_what_a_failed_run_leaves(desk: KindDesk) -> None:
    """Logs, objects and the rules of each node are kept before the cluster is removed."""
    desk.fail("kubectl wait")

    desk.run(*_COLLECT_ONLY)

    calls = desk.calls
    assert calls.index(f"kind export logs {desk.results}/logs --name {_CLUSTER}") < calls.index(
        _DELETE
    )
    assert {one.name for one in desk.results.iterdir()} == {
        "objects.yaml",
        *(
            f"{node}.{tool}tables-legacy-save"
            for node in ("node-1", "node-2")
            for tool in ("ip", "ip6")
        ),
    }


@pytest.mark.parametrize("failing", ["kind export", "kind get nodes", "docker exec"])
def test_evidence_that_cannot_be_had(desk: KindDesk, failing: str) -> None:
    """The cluster is removed also if its logs or rules cannot be kept."""
    desk.fail("kubectl wait", failing)

    code, _ = desk.run(*_COLLECT_ONLY)

    assert code != 0
    assert desk.calls[-3:] == [_REMOVE_CLIENT, _DELETE, _REMOVE_IMAGE]


def test_scenarios_that_fail(desk: KindDesk) -> None:
    """The exit code of the scenarios is that of the run, after all is removed."""
    code, said = desk.run("-k", "no_scenario_has_this_name")

    assert code == pytest.ExitCode.NO_TESTS_COLLECTED, said
    assert _in_order(desk.calls) == list(_STEPS)
    assert desk.calls[-3:] == [_REMOVE_CLIENT, _DELETE, _REMOVE_IMAGE]


def test_a_cluster_that_cannot_be_removed(desk: KindDesk) -> None:
    """The run fails, and says how to remove what is left."""
    desk.fail("kind delete")

    code, said = desk.run(*_COLLECT_ONLY)

    assert code == 1
    assert f"the cluster is left; remove it with: {_DELETE}" in said
    assert desk.calls[-1] == _REMOVE_IMAGE


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_run_that_is_interrupted(desk: KindDesk, number: signal.Signals) -> None:
    """The program that runs just then ends first, then all is removed."""
    creation = _STEPS[1]
    desk.hold(creation)
    process = desk.start()
    wait_until("the cluster is created", lambda: _in_order(desk.calls) == list(_STEPS[:2]))

    process.send_signal(number)
    calls_meanwhile = desk.calls
    desk.hold("")
    _, said = process.communicate(timeout=30)

    assert process.returncode == 128 + number, said
    assert calls_meanwhile[-1].startswith(creation)
    assert _in_order(desk.calls) == list(_STEPS[:2])
    assert desk.calls[-3:] == [_REMOVE_CLIENT, _DELETE, _REMOVE_IMAGE]


@pytest.mark.parametrize("missing", [(name,) for name in PROGRAMS])
def test_a_program_that_is_missing(tmp_path: Path, missing: tuple[str, ...]) -> None:
    """It is named in one line, and nothing is done."""
    desk = KindDesk(tmp_path, missing)

    code, said = desk.run()

    assert code == 1
    assert said == (
        f"kind-e2e: error: not found on PATH: {missing[0]}; "
        "a kind cluster needs Docker, kind and kubectl\n"
    )
    assert not desk.calls


def test_a_docker_that_does_not_answer(desk: KindDesk) -> None:
    """One line says so, and nothing is done."""
    desk.fail("docker info")

    code, said = desk.run()

    assert code == 1
    (line,) = said.splitlines()
    assert "Docker does not answer" in line
    assert desk.calls == ["docker info"]


def test_a_cluster_of_that_name(desk: KindDesk) -> None:
    """A cluster that is there already is neither used nor removed."""
    desk.set_clusters("another", _CLUSTER)

    code, said = desk.run()

    assert code == 1
    (line,) = said.splitlines()
    assert f"there is a cluster {_CLUSTER} already" in line
    assert desk.calls == ["docker info", "kind get clusters"]


def test_another_image_of_the_nodes(desk: KindDesk) -> None:
    """``KIND_NODE_IMAGE`` is what the nodes are made of."""
    desk.fail("kubectl wait")
    desk.run(*_COLLECT_ONLY, KIND_NODE_IMAGE="example/node:1")

    (creation,) = [call for call in desk.calls if call.startswith("kind create")]
    assert creation.endswith(" --image example/node:1")


def test_the_cluster_has_the_name_that_is_removed() -> None:
    """The script and the cluster's file agree on the name."""
    cluster = yaml.safe_load((_KIND / "cluster.yaml").read_text(encoding="utf-8"))
    assert cluster["name"] == _CLUSTER


def test_the_cluster_is_one_for_the_agent() -> None:
    """Nobody programs Services but the agent; both families, three nodes, two zones."""
    cluster = yaml.safe_load((_KIND / "cluster.yaml").read_text(encoding="utf-8"))

    assert cluster["networking"]["kubeProxyMode"] == "none"
    assert cluster["networking"]["ipFamily"] == "dual"
    zones = [node["labels"]["topology.kubernetes.io/zone"] for node in cluster["nodes"]]
    assert (len(zones), len(set(zones))) == (3, 2)


def test_the_script_is_clean() -> None:
    """Shellcheck has nothing to say about it."""
    shellcheck = Path(sys.executable).with_name("shellcheck")

    done = subprocess.run(
        [shellcheck, _KIND / "e2e.sh"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stdout) == (0, "")
