# SPDX-License-Identifier: Apache-2.0
"""The pods of one scenario: objects of the API with a machine and a server each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from lab import Host
from lab.plan import DualStack
from tests.e2e.api import Api
from tests.e2e.errors import UnknownNameError
from tests.e2e.machines import Machines, PodMachine
from tests.e2e.plan import NODES, NodePlan
from tests.e2e.schema import Manifest, Pod

_NODES: Final = {node.name: node for node in NODES}
FOREVER_SECONDS: Final = 3600
"""How long a terminating pod may take: no kubelet ends it."""


@dataclass(frozen=True, slots=True)
class PlacedPod:
    """A pod and where it lives; without a machine it shares that of its node."""

    node: NodePlan
    host: Host
    address: DualStack
    machine: PodMachine | None


class ScenarioPods:
    """Adds pods, changes their state, and knows who answers under which name."""

    def __init__(self, api: Api, machines: Machines, namespace: str) -> None:
        """Begin without any."""
        self._api = api
        self._machines = machines
        self._namespace = namespace
        self._placed: dict[str, PlacedPod] = {}

    def __getitem__(self, name: str) -> PlacedPod:
        """The pod of that name, deleted ones included: their servers still answer."""
        if name not in self._placed:
            raise UnknownNameError(f"there is no pod {name!r}; there are {sorted(self._placed)}")
        return self._placed[name]

    def add(self, pod: Pod) -> None:
        """Start its servers, then create it with its status."""
        if pod.node not in _NODES:
            raise UnknownNameError(f"there is no node {pod.node!r}; there are {sorted(_NODES)}")
        placed = self._place(pod)
        self._placed[pod.name] = placed
        # Nobody may meet it before it is what it shall be.
        status = _status(placed, is_ready=pod.ready and not pod.terminating)
        self._api.apply(manifest(pod) | {"status": status}, self._namespace)
        if pod.terminating:
            self._terminate(pod.name)
            self.change(pod.name, ready=pod.ready, terminating=None)

    def change(self, name: str, *, ready: bool | None, terminating: bool | None) -> None:
        """Change what is given."""
        if ready is not None:
            status = _status(self[name], is_ready=ready)
            self._api.patch("v1", "Pod", name, self._namespace, {"status": status})
        if terminating:
            self._terminate(name)

    def called(self, machine: str) -> str:
        """Which pod it is that answers under the name of its machine."""
        names = [name for name, pod in self._placed.items() if pod.host.name == machine]
        return names[-1] if names else machine

    def release(self) -> None:
        """Let others have the machines."""
        for pod in self._placed.values():
            if pod.machine is not None:
                self._machines.give_back(pod.machine)
        self._placed.clear()

    def _place(self, pod: Pod) -> PlacedPod:
        node = _NODES[pod.node]
        if pod.host_network:
            for port in pod.ports.values():
                self._machines.serve_on_node(node, port)
            return PlacedPod(node, self._machines.nodes[node.name], node.address, None)
        machine = self._machines.take_pod(node)
        for port in pod.ports.values():
            self._machines.serve(machine, port)
        return PlacedPod(node, machine.host, machine.address, machine)

    def _terminate(self, name: str) -> None:
        self._api.delete("v1", "Pod", name, self._namespace, grace_seconds=FOREVER_SECONDS)


def manifest(pod: Pod) -> Manifest:
    """What a pod is, before anybody has placed it."""
    ports = [
        {"name": name + suffix, "containerPort": port, "protocol": protocol}
        for name, port in pod.ports.items()
        # Two ports of a pod cannot have the same name.
        for suffix, protocol in (("", "TCP"), ("-udp", "UDP"))
    ]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": pod.name, "labels": pod.labels},
        "spec": {
            "nodeName": pod.node,
            "hostNetwork": pod.host_network,
            "containers": [{"name": "server", "image": "server", "ports": ports}],
        },
    }


def _status(pod: PlacedPod, *, is_ready: bool) -> Manifest:
    ready = "True" if is_ready else "False"
    addresses = [pod.address.ipv4, pod.address.ipv6]
    return {
        "phase": "Running",
        "hostIP": pod.node.address.ipv4,
        "podIP": addresses[0],
        "podIPs": [{"ip": address} for address in addresses],
        "conditions": [{"type": kind, "status": ready} for kind in ("Ready", "ContainersReady")],
    }
