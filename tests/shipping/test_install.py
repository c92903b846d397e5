# SPDX-License-Identifier: Apache-2.0
"""install.sh against a model of a cluster: see tests/shipping/cluster.py."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path

import pytest

from tests.shipping.cluster import AGENT, KUBE_PROXY, LABEL, ClusterModel, Machine
from tests.shipping.kubectl import kubectl_of
from tests.shipping.places import HACK

_NODES = ("node-a", "node-b", "node-c")
_IMAGE = "registry.example/kube-dataplane:1"
_REPLACE = ("--image", _IMAGE, "--yes")
_BACK = ("--back", "--yes")
_BOTH = {AGENT, KUBE_PROXY}


class Desk:
    """An operator's machine.

    Attributes:
        cluster: what its kubectl works on: three nodes with kube-proxy.
    """

    def __init__(self, programs: Path) -> None:
        """Find kubectl in ``programs``."""
        self._programs = programs
        self.cluster = ClusterModel(machines={name: Machine() for name in _NODES})

    def install(self, *arguments: str, answer: str = "") -> subprocess.CompletedProcess[str]:
        """Run the script; ``answer`` is what the operator types."""
        return subprocess.run(
            [HACK / "install.sh", *arguments],
            env={**os.environ, "PATH": f"{self._programs}:{os.environ['PATH']}"},
            input=answer,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    def install_well(self, *arguments: str) -> None:
        """Run the script; it must go well."""
        done = self.install(*arguments)
        assert done.returncode == 0, done.stderr


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """An operator's machine."""
    desk = Desk(tmp_path)
    with kubectl_of(desk.cluster, tmp_path):
        yield desk


def _everywhere(*apps: str) -> dict[str, list[str]]:
    return {name: list(apps) for name in _NODES}


def test_all_nodes_are_moved(desk: Desk) -> None:
    """In the end each node has the agent alone, with the image that was asked for."""
    desk.install_well(*_REPLACE)

    assert desk.cluster.agents() == _everywhere(AGENT)
    assert desk.cluster.agent is not None
    spec = desk.cluster.agent["spec"]["template"]["spec"]
    images = {one["image"] for one in (*spec["initContainers"], *spec["containers"])}
    assert images == {_IMAGE}


def test_no_node_ever_has_both(desk: Desk) -> None:
    """Pods that take their time to go are waited for; only one node at a time has no agent."""
    desk.cluster.looks_until_gone = 1

    desk.install_well(*_REPLACE)

    assert desk.cluster.agents() == _everywhere(AGENT)
    for moment in desk.cluster.history:
        assert not [name for name, apps in moment.items() if set(apps) == _BOTH]
        assert len([name for name, apps in moment.items() if not apps]) <= 1


def test_a_new_node_has_one_agent_at_any_time(desk: Desk) -> None:
    """A node that joins later, without a label, gets the agent and not kube-proxy."""
    desk.install_well(*_REPLACE, "--node", "node-a")
    desk.cluster.machines["node-d"] = Machine(pods={})

    desk.cluster.note_change(["a node joins"])

    assert desk.cluster.agents()["node-d"] == [AGENT]


def test_the_way_back(desk: Desk) -> None:
    """``--back`` leaves the cluster as it was before, without a node that has both in between."""
    before = deepcopy(desk.cluster)
    desk.install_well(*_REPLACE)

    desk.install_well(*_BACK)

    assert desk.cluster.agents() == _everywhere(KUBE_PROXY)
    assert desk.cluster.machines == before.machines
    assert (desk.cluster.kube_proxy_selector, desk.cluster.applied_kinds) == ({}, [])
    assert not any(
        set(apps) == _BOTH for moment in desk.cluster.history for apps in moment.values()
    )


def test_a_first_try_on_one_node(desk: Desk) -> None:
    """With ``--node`` the other nodes keep kube-proxy; going back on it leaves all else."""
    desk.install_well(*_REPLACE, "--node", "node-b")
    assert desk.cluster.agents() == {**_everywhere(KUBE_PROXY), "node-b": [AGENT]}

    desk.install_well(*_BACK, "--node", "node-b")
    assert desk.cluster.agents() == _everywhere(KUBE_PROXY)
    assert "DaemonSet" in desk.cluster.applied_kinds


def test_a_node_where_the_agent_does_not_become_ready(desk: Desk) -> None:
    """That node gets kube-proxy back, nodes after it are left alone, and the run has failed."""
    desk.cluster.broken = {"node-b": AGENT}

    done = desk.install(*_REPLACE, "--timeout", "1")

    assert done.returncode == 1
    assert "node-b: kube-dataplane is not ready after 1 s" in done.stderr
    assert "node-b has kube-proxy again" in done.stderr
    assert desk.cluster.agents() == {**_everywhere(KUBE_PROXY), "node-a": [AGENT]}


def test_a_run_that_was_broken_off_is_continued(desk: Desk) -> None:
    """A node that was left between two agents is finished first; finished ones are not touched."""
    desk.install_well(*_REPLACE, "--node", "node-a")
    desk.cluster.machines["node-c"].labels[LABEL] = "none"
    desk.cluster.note_change(["broken off"])
    moments = len(desk.cluster.history)

    desk.install_well(*_REPLACE)

    assert desk.cluster.agents() == _everywhere(AGENT)
    later = desk.cluster.history[moments:]
    assert all(moment["node-a"] == [AGENT] for moment in later)
    finished = [min(i for i, one in enumerate(later) if one[name] == [AGENT]) for name in _NODES]
    assert finished[_NODES.index("node-c")] < finished[_NODES.index("node-b")]


def test_a_node_that_is_down(desk: Desk) -> None:
    """It is left as it is and named, and the others are moved."""
    desk.cluster.machines["node-b"].is_ready = False

    done = desk.install(*_REPLACE)

    assert done.returncode == 1
    assert "left as they were, since they were not Ready: node-b" in done.stderr
    assert desk.cluster.agents() == {**_everywhere(AGENT), "node-b": [KUBE_PROXY]}


def test_other_systems_are_left_alone(desk: Desk) -> None:
    """A node of another operating system gets neither a label nor an agent."""
    desk.cluster.machines["windows"] = Machine(labels={"kubernetes.io/os": "windows"}, pods={})
    desk.cluster.kube_proxy_selector = {"kubernetes.io/os": "linux"}

    desk.install_well(*_REPLACE)

    assert desk.cluster.machines["windows"] == Machine(
        labels={"kubernetes.io/os": "windows"}, pods={}
    )


@pytest.mark.parametrize("direction", [("--image", _IMAGE), ("--back",)])
def test_a_dry_run(desk: Desk, direction: tuple[str, ...]) -> None:
    """``--dry-run`` prints the commands, asks nothing and changes nothing."""
    if direction == ("--back",):
        desk.install_well(*_REPLACE)
    before = deepcopy(desk.cluster)

    done = desk.install(*direction, "--dry-run")

    assert done.returncode == 0, done.stderr
    assert desk.cluster == before
    for name in _NODES:
        assert f"kubectl --context lab label node {name} {LABEL}=none --overwrite" in done.stdout


def test_a_dry_run_prints_what_a_run_does(desk: Desk) -> None:
    """The commands of ``--dry-run`` are the ones that a run makes, in their order."""
    printed = [
        shlex.split(line.rpartition("| ")[2])[1:]
        for line in desk.install(*_REPLACE, "--dry-run").stdout.splitlines()
        if not line.startswith("#")
    ]

    desk.install_well(*_REPLACE)

    assert desk.cluster.calls == printed


@pytest.mark.parametrize(("answer", "is_done"), [("y\n", True), ("n\n", False), ("", False)])
def test_the_operator_is_asked(desk: Desk, answer: str, *, is_done: bool) -> None:
    """Without ``--yes`` nothing is changed before the operator agrees to what is announced."""
    done = desk.install("--image", _IMAGE, answer=answer)

    assert "for 3 nodes, one after the other" in done.stderr
    assert bool(desk.cluster.calls) == is_done
    assert (done.returncode == 0) == is_done


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"denied": ["patch nodes", "create daemonsets.apps"]}, "you may not patch nodes, create"),
        ({"config": "mode: ipvs"}, "kube-proxy works in the mode ipvs here"),
        ({"config": 'mode: "nftables"'}, "kube-proxy works in the mode nftables here"),
        ({"config": None}, "there is no ConfigMap kube-system/kube-proxy"),
        ({"config": ""}, "has no config.conf"),
        ({"has_kube_proxy": False}, "there is no DaemonSet kube-system/kube-proxy"),
    ],
)
def test_a_cluster_that_it_is_not_for(desk: Desk, changes: dict[str, object], message: str) -> None:
    """What stands in the way is said before anything is changed."""
    for name, value in changes.items():
        setattr(desk.cluster, name, value)

    done = desk.install(*_REPLACE)

    assert done.returncode == 1
    assert message in done.stderr
    assert not desk.cluster.calls


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "--image is missing"),
        (("--image",), "--image needs a value"),
        ((*_REPLACE, "--timeout", "soon"), "--timeout soon is not a number of seconds"),
        ((*_REPLACE, "--node", "node-x"), "there is no node node-x"),
        ((*_REPLACE, "--fast"), "unknown argument --fast"),
    ],
)
def test_wrong_arguments(desk: Desk, arguments: tuple[str, ...], message: str) -> None:
    """Arguments that cannot be used are named, and nothing is changed."""
    done = desk.install(*arguments)

    assert done.returncode == 1
    assert message in done.stderr
    assert not desk.cluster.calls


def test_the_scripts_are_clean() -> None:
    """Shellcheck has nothing to say about the script and its parts, read together."""
    parts = sorted((HACK / "install").glob("*.sh"))
    shellcheck = Path(sys.executable).with_name("shellcheck")

    done = subprocess.run(
        [shellcheck, HACK / "install.sh", *parts], capture_output=True, text=True, check=False
    )

    assert parts
    assert (done.returncode, done.stdout) == (0, "")
