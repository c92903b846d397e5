# SPDX-License-Identifier: Apache-2.0
"""A kind cluster without Docker: kubelets and programs that make pods of network namespaces.

What kind itself does is not in it. It is for the part of this package that works with a cluster.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from subprocess import Popen
from typing import Final

from kind.package import package
from kube.control_plane import ADMINISTRATOR
from lab import Answered, Host, Target, probe, wait_until
from lab.plan import ROUTER, DualStack
from tests.e2e.cluster import Cluster
from tests.e2e.kind.pods import GATE
from tests.e2e.kubelets import Kubelets
from tests.e2e.machines import PodMachine
from tests.e2e.plan import NODES
from tests.e2e.schema import Manifest

_KUBECTL: Final = """#!/bin/bash
if [ "$1" = exec ]; then
  namespace=${{3#--namespace=}} pod=$4
  shift 5
  exec ip netns exec "$(cat {state}/"$namespace.$pod")" env PYTHONPATH={package} "$@"
fi
exec {kubectl} --kubeconfig={access} "$@"
"""
_DOCKER: Final = """#!/bin/bash
case "$1 $2" in
  "exec --interactive")
    shift 3
    exec ip netns exec {client} env PYTHONPATH={package} "$@"
    ;;
  exec*)
    node=$2
    shift 2
    exec ip netns exec "$(cat {state}/node."$node")" "$@"
    ;;
  inspect*Image*) echo image ;;
  inspect*) echo {address} ;;
esac
"""


@dataclass(frozen=True, slots=True)
class _Started:
    """A pod that runs."""

    server: Popen[bytes]
    machine: PodMachine | None
    status: Manifest


class StandIn(Kubelets[_Started]):
    """Kubelets of all nodes, and ``kubectl`` and ``docker`` that lead to what they started."""

    def __init__(self, cluster: Cluster, folder: Path, kubectl: Path) -> None:
        """Keep all in ``folder``, programs in its ``bin``."""
        super().__init__(cluster.control_plane)
        self._cluster = cluster
        self._state = folder / "state"
        self._package = folder / "package.zip"
        self._package.write_bytes(package())
        self._nodes = {plan.name: plan for plan in NODES}
        self.programs = folder / "bin"
        self._state.mkdir()
        self.programs.mkdir()
        for name, host in cluster.machines.nodes.items():
            (self._state / f"node.{name}").write_text(host.namespace)
        values = {
            "state": self._state,
            "package": self._package,
            "kubectl": kubectl,
            "access": cluster.control_plane.kubeconfig(ADMINISTRATOR),
            "client": cluster.machines.client.namespace,
            "address": f"{ROUTER.ipv4} {ROUTER.ipv6}",
        }
        for name, text in (("kubectl", _KUBECTL), ("docker", _DOCKER)):
            (self.programs / name).write_text(text.format(**values))
            (self.programs / name).chmod(0o755)

    def _pods(self) -> list[Manifest]:
        self._make_accounts()
        return self._list("pods")

    def _make_accounts(self) -> None:
        have = {one["metadata"]["namespace"] for one in self._list("serviceaccounts")}
        for namespace in {one["metadata"]["name"] for one in self._list("namespaces")} - have:
            self._kubectl("create", "serviceaccount", "default", f"--namespace={namespace}")

    def _start(self, pod: Manifest) -> _Started:
        spec, metadata = pod["spec"], pod["metadata"]
        name = f"{metadata['namespace']}.{metadata['name']}"
        node = self._nodes[spec["nodeName"]]
        machine = None if spec.get("hostNetwork") else self._cluster.machines.take_pod(node)
        host = machine.host if machine else self._cluster.machines.nodes[node.name]
        address = machine.address if machine else node.address
        (self._state / name).write_text(host.namespace)
        (container,) = spec["containers"]
        command = [
            one.replace("$(ADDRESSES)", f"{address.ipv4},{address.ipv6}")
            for one in container["command"]
        ]
        log = self._state / f"{name}.log"
        server = host.popen(["env", f"PYTHONPATH={self._package}", *command], log=log)
        port = container["readinessProbe"]["tcpSocket"]["port"]
        wait_until("the pod serves", lambda: _answers(host, Target(address.ipv4, port)))
        return _Started(server, machine, _running(address, node.address))

    def _tell(self, pod: Manifest, started: _Started) -> None:
        """Say that it runs, and make a condition of the gate, as kubelets do."""
        if "podIP" not in pod["status"]:
            self._set_status(pod, started.status)
        conditions = {one["type"]: one["status"] for one in pod["status"].get("conditions", [])}
        wanted = conditions.get(GATE, "False")
        if conditions.get("Ready") != wanted:
            self._set_status(pod, {"conditions": [{"type": "Ready", "status": wanted}]})

    def _end(self, started: _Started) -> None:
        started.server.kill()
        started.server.wait()
        if started.machine is not None:
            self._cluster.machines.give_back(started.machine)


def _answers(host: Host, target: Target) -> bool:
    return isinstance(probe(host, target), Answered)


def _running(address: DualStack, node: DualStack) -> Manifest:
    return {
        "phase": "Running",
        "hostIP": node.ipv4,
        "podIP": address.ipv4,
        "podIPs": [{"ip": address.ipv4}, {"ip": address.ipv6}],
        "conditions": [{"type": "ContainersReady", "status": "True"}],
    }
