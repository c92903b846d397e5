# SPDX-License-Identifier: Apache-2.0
"""A kind cluster that is there already, with the agent installed, as the runner sees it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kind.remote import Remote
from lab.commands import run
from lab.place import Here
from lab.plan import DualStack
from tests.e2e.api import Api
from tests.e2e.backend import Node, Proxy
from tests.e2e.errors import NotOfferedError
from tests.e2e.kind.machines import KindNode, start_client
from tests.e2e.kind.pods import KindPods, dual_stack, pod_command
from tests.e2e.kind.selection import NOT_OFFERED
from tests.e2e.plan import NODES
from tests.e2e.schema import Manifest, Pod, Program, Requirement

_NAMESPACE: Final = "askers"
_PORT: Final = 28080
"""Pods on nodes' networks serve it too, as all pods do; nobody asks there."""


class _NoApiServer:
    """The API server, which nobody may stop here."""

    def start_apiserver(self) -> None:
        """Refuse."""
        raise NotOfferedError(NOT_OFFERED[Requirement.API_SERVER_CONTROL])

    def kill_apiserver(self) -> None:
        """Refuse."""
        raise NotOfferedError(NOT_OFFERED[Requirement.API_SERVER_CONTROL])


@dataclass(frozen=True, slots=True)
class KindCluster:
    """What all scenarios of a run share."""

    api: Api
    client: Remote
    nodes: Mapping[str, Node]
    image: str
    names: Mapping[str, str]
    """kind's names of the nodes."""

    @property
    def program(self) -> Program:
        """Our agent, since it was installed."""
        return Program.DATAPLANE

    @property
    def proxies(self) -> Mapping[str, Proxy]:
        """None: the kubelet starts and ends them."""
        return {}

    @property
    def control_plane(self) -> _NoApiServer:
        """Not to be stopped."""
        return _NoApiServer()

    def pods_of(self, namespace: str) -> KindPods:
        """Begin a scenario's pods."""
        return KindPods(self.api, self.names, self.image, namespace)

    def register_nodes(self) -> None:
        """Leave the Nodes alone: no scenario that changes them is played here."""

    def keep_logs(self, folder: Path) -> None:
        """Write what the agents said."""
        command = ["kubectl", "--namespace=kube-system", "logs", "--prefix", "--tail=-1"]
        said = run([*command, "--selector=k8s-app=kube-dataplane"], check=False)
        (folder / "agents.log").write_text(said.stdout + said.stderr)


@contextmanager
def kind_cluster(image: str, folder: Path) -> Iterator[KindCluster]:
    """The cluster of ``KUBECONFIG``; let pods of ``image`` and a container ask in it."""
    api = Api(Here("here"), Path(os.environ["KUBECONFIG"]), folder / "discovered.json")
    found = json.loads(run(["kubectl", "get", "nodes", "--output=json"]).stdout)["items"]
    # kind's names: the control plane, then workers, as they stand in cluster.yaml.
    found.sort(key=lambda node: node["metadata"]["name"])
    names = {plan.name: node["metadata"]["name"] for plan, node in zip(NODES, found, strict=True)}
    api.apply(
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": _NAMESPACE}}, _NAMESPACE
    )
    askers = KindPods(api, names, image, _NAMESPACE)
    nodes, machines = {}, []
    for plan, node in zip(NODES, found, strict=True):
        askers.add(Pod(name=plan.name, node=plan.name, ports={"http": _PORT}, host_network=True))
        # A node has its address towards pods only once it has one.
        askers.add(Pod(name=f"{plan.name}-pod", node=plan.name))
        machine = KindNode(names[plan.name], pod_command(_NAMESPACE, plan.name))
        machines.append(machine)
        nodes[plan.name] = Node(plan.number, _internal(node), machine.addresses(), machine)
    client = start_client(image, nodes, names[NODES[0].name], folder)
    yield KindCluster(api, client, nodes, image, names)
    for place in (client, *machines):
        place.close()
    askers.release()


def _internal(node: Manifest) -> DualStack:
    found = [one["address"] for one in node["status"]["addresses"] if one["type"] == "InternalIP"]
    return dual_stack(found)
