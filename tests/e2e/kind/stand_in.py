# SPDX-License-Identifier: Apache-2.0
"""A kind cluster without Docker: kubelets and programs that make pods of network namespaces.

What kind itself does is not in it. It is for the part of this package that works with a cluster.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from subprocess import Popen
from threading import Event, Thread
from typing import Final

from kind.package import package
from kube.control_plane import ADMINISTRATOR
from lab import Answered, CommandFailedError, Host, Target, probe, wait_until
from lab.plan import ROUTER, DualStack
from tests.e2e.cluster import Cluster
from tests.e2e.kind.pods import GATE
from tests.e2e.machines import PodMachine
from tests.e2e.plan import NODES
from tests.e2e.schema import Manifest

_PAUSE_SECONDS: Final = 0.1
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


class StandIn:
    """Kubelets of all nodes, and ``kubectl`` and ``docker`` that lead to what they started."""

    def __init__(self, cluster: Cluster, folder: Path, kubectl: Path) -> None:
        """Keep all in ``folder``, programs in its ``bin``."""
        self._cluster = cluster
        self._state = folder / "state"
        self._package = folder / "package.zip"
        self._package.write_bytes(package())
        self._nodes = {plan.name: plan for plan in NODES}
        self._started: dict[tuple[str, str], _Started] = {}
        self._stopped = Event()
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

    @contextmanager
    def running(self) -> Iterator[None]:
        """Start pods as they come, and end them as they go."""
        thread = Thread(target=self._run, name="kubelets")
        thread.start()
        try:
            yield
        finally:
            self._stopped.set()
            thread.join()
            for pod in list(self._started):
                self._end(pod)

    def _run(self) -> None:
        while not self._stopped.wait(_PAUSE_SECONDS):
            self._make_accounts()
            pods = {
                (one["metadata"]["namespace"], one["metadata"]["name"]): one
                for one in self._list("pods")
            }
            for key in self._started.keys() - pods.keys():
                self._end(key)
            for key, pod in pods.items():
                # It may have been deleted since it was listed.
                with suppress(CommandFailedError):
                    if key not in self._started:
                        self._start(key, pod)
                    self._tell(key, pod)

    def _list(self, kind: str) -> list[Manifest]:
        found = self._kubectl("get", kind, "--all-namespaces", "--output=json")
        items: list[Manifest] = json.loads(found)["items"]
        return items

    def _kubectl(self, *arguments: str) -> str:
        return self._cluster.control_plane.kubectl(*arguments)

    def _make_accounts(self) -> None:
        have = {one["metadata"]["namespace"] for one in self._list("serviceaccounts")}
        for namespace in {one["metadata"]["name"] for one in self._list("namespaces")} - have:
            self._kubectl("create", "serviceaccount", "default", f"--namespace={namespace}")

    def _start(self, key: tuple[str, str], pod: Manifest) -> None:
        spec = pod["spec"]
        node = self._nodes[spec["nodeName"]]
        machine = None if spec.get("hostNetwork") else self._cluster.machines.take_pod(node)
        host = machine.host if machine else self._cluster.machines.nodes[node.name]
        address = machine.address if machine else node.address
        (self._state / ".".join(key)).write_text(host.namespace)
        (container,) = spec["containers"]
        command = [
            one.replace("$(ADDRESSES)", f"{address.ipv4},{address.ipv6}")
            for one in container["command"]
        ]
        log = self._state / f"{'.'.join(key)}.log"
        server = host.popen(["env", f"PYTHONPATH={self._package}", *command], log=log)
        self._started[key] = _Started(server, machine)
        port = container["readinessProbe"]["tcpSocket"]["port"]
        wait_until("the pod serves", lambda: _answers(host, Target(address.ipv4, port)))
        self._set_status(key, _running(address, node.address))

    def _tell(self, key: tuple[str, str], pod: Manifest) -> None:
        """Make a condition of the gate, as kubelets do."""
        conditions = {one["type"]: one["status"] for one in pod["status"].get("conditions", [])}
        wanted = conditions.get(GATE, "False")
        if conditions.get("Ready") != wanted:
            self._set_status(key, {"conditions": [{"type": "Ready", "status": wanted}]})

    def _set_status(self, key: tuple[str, str], status: Manifest) -> None:
        namespace, name = key
        patch = f"--patch={json.dumps({'status': status})}"
        flags = ("--subresource=status", "--type=strategic", patch)
        self._kubectl("patch", "pod", name, f"--namespace={namespace}", *flags)

    def _end(self, key: tuple[str, str]) -> None:
        started = self._started.pop(key)
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
