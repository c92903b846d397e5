# SPDX-License-Identifier: Apache-2.0
"""README.md's commands for a node, run on one that follows an API server."""

from __future__ import annotations

import re
import shutil
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
import yaml

from lab import Host, node_lab, wait_until
from lab.plan import POD_1, POD_2
from tests.apiserver import FakeApiServer
from tests.docs.console import PATH, exports, sections, type_in
from tests.docs.markdown import ROOT, Command, read

_README: Final = read("README.md")
_SECTIONS: Final = {section.heading: section for section in sections(_README)}
_MANIFESTS: Final = ROOT / "hack" / "demo" / "manifests"
_READERS_OWN: Final = ("KUBECONFIG", "NODE", "FOLDER", "PATH")
"""Variables that are others here."""
_RUN: Final = " run "
_COUNTED: Final = {
    '-d 10.96.86.198/32 -p tcp -m comment --comment "default/web cluster IP" -m tcp --dport 80'
    " -j KUBE-SVC-LOLE4ISW44XBNF3G": 1204,
    "--to-destination 10.244.1.2:80": 608,
    "--to-destination 10.244.2.6:80": 596,
    '-A KUBE-FW-LOLE4ISW44XBNF3G -m comment --comment "default/web loadbalancer IP"'
    " -j KUBE-MARK-DROP": 3,
}
"""Packets by the end of a rule."""


@dataclass(frozen=True, slots=True)
class _Node:
    """A node, and the environment of the reader's shell there."""

    host: Host
    folder: Path
    environment: Mapping[str, str]

    def start(self, command: Command, *, prepare: str = "true") -> None:
        """Start the agent as the reader is told to, and wait until its rules stand."""
        log = self.folder / "agent.log"
        line = f"{prepare} && {self._before} && exec {command.line}"
        self.host.popen(["env", *self._assignments, "bash", "-c", line], log=log)
        wait_until("its rules stand", lambda: "synced ipv6" in log.read_text(), seconds=20)

    def type_in(self, *commands: Command) -> None:
        """Type commands, and check what they print."""
        type_in(
            commands,
            before=self._before,
            inside=["ip", "netns", "exec", self.host.namespace],
            environment=self.environment,
        )

    @property
    def _before(self) -> str:
        return exports(_README, _READERS_OWN) or "true"

    @property
    def _assignments(self) -> list[str]:
        return [f"{name}={value}" for name, value in self.environment.items()]


@pytest.fixture
def node(tmp_path: Path) -> Iterator[_Node]:
    """A node with the API server that knows the demo's objects, and the demo's manifests."""
    with node_lab((POD_1, POD_2)) as machines, FakeApiServer() as server:
        server.go_away()
        with machines.node.entered():
            server.come_back()
        for manifest in sorted(_MANIFESTS.glob("*.yaml")):
            text = manifest.read_text().replace("demo-node", socket.gethostname().lower())
            for one in yaml.safe_load_all(text):
                server.put(one)
        shutil.copytree(_MANIFESTS, tmp_path / "manifests")
        yield _Node(
            machines.node,
            tmp_path,
            {
                **machines.node.environment,
                "PATH": PATH,
                "KUBECONFIG": str(server.kubeconfig(tmp_path)),
                "NODE": machines.node.namespace,
                "FOLDER": str(tmp_path),
            },
        )
        machines.node.end_processes()


def _as_root(heading: str) -> list[Command]:
    """What the reader is told to do as root, but for setting variables."""
    commands = _SECTIONS[heading].commands
    return [one for one in commands if one.needs_root and not one.line.startswith("export ")]


def _let_count(host: Host) -> None:
    """Give rules the counters that the document shows."""
    saved = host.run(["iptables-legacy-save", "--table=nat", "--counters"]).stdout
    for end, packets in _COUNTED.items():
        pattern = rf"^\[0:0\](.* {re.escape(end)})$"
        saved, found = re.subn(pattern, rf"[{packets}:0]\1", saved, flags=re.MULTILINE)
        assert found == 1, end
    host.run(["iptables-legacy-restore", "--table=nat", "--counters"], stdin=saved)


def test_commands_as_root_are_run_here() -> None:
    """None is left out but the two that build and test all of this."""
    here = ["Try it", "Where does my packet go?", "What is my node doing?", "On a node"]

    assert [one for one in _README.commands() if one.needs_root and "export " not in one.line] == [
        one for heading in here for one in _as_root(heading)
    ]
    assert [one.line for one in _as_root("Try it")] == ["make demo", "make test"]


def test_a_node_is_programmed_compared_and_counted(node: _Node) -> None:
    """The agent follows the cluster; diff tells of a deleted rule; services has the counters."""
    (follow_cluster, _) = _as_root("On a node")
    assert _RUN in follow_cluster.line
    # The machine's own lock file of agents is not ours to take.
    node.start(follow_cluster, prepare="mount -t tmpfs run /run")
    node.host.end_processes()

    _let_count(node.host)
    node.type_in(*_as_root("What is my node doing?"))
    node.host.run(["iptables-legacy", "--table=nat", "--flush", "KUBE-MARK-MASQ"])
    node.type_in(*_as_root("Where does my packet go?"))


def test_a_namespace_is_programmed_from_files(node: _Node) -> None:
    """The agent follows manifests; the reader enters the namespace."""
    (_, follow_files) = _as_root("On a node")
    assert _RUN in follow_files.line
    node.start(follow_files)

    rules = node.host.run(["iptables-legacy-save", "--table=nat"]).stdout
    assert rules.count("--to-destination 10.244.") == len(("10.244.1.2", "10.244.2.6"))
