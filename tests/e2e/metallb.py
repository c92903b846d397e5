# SPDX-License-Identifier: Apache-2.0
"""MetalLB: its controller beside the control plane, and a speaker on each node.

Both run as they are released, as processes, each with the rights that MetalLB's manifest gives it.
What a kubelet would do for them is done here: each speaker has a Pod object, which it looks up and
lets own the status that it writes, but no memberlist, which could only tell dead nodes sooner.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import Popen
from typing import Final

import yaml

from kube.control_plane import METALLB_CONTROLLER, METALLB_SPEAKER
from lab import Host, wait_until
from tests.e2e.cluster import Cluster
from tests.e2e.schema import Manifest

_NAMESPACE: Final = "metallb-system"
_API: Final = "metallb.io/v1beta1"
_POOL: Final = "e2e"
# No kubelet starts its workloads, and no webhook checks the objects of these tests.
_KINDS: Final = (
    "ClusterRole",
    "ClusterRoleBinding",
    "CustomResourceDefinition",
    "Namespace",
    "Role",
    "RoleBinding",
    "ServiceAccount",
)
_START_SECONDS: Final = 30.0
_STOP_SECONDS: Final = 10.0


class MetalLbEndedError(Exception):
    """One of its programs ended by itself; the message holds its last words."""


class MetalLb:
    """MetalLB in a cluster, at first without an address to give."""

    def __init__(self, cluster: Cluster, programs: Path) -> None:
        """Begin with none of the programs in this folder started."""
        self._cluster = cluster
        self._programs = programs
        self._processes: dict[Path, Popen[bytes]] = {}

    def start(self) -> None:
        """Let the cluster know MetalLB's kinds and rights, and start its programs."""
        self._apply_manifest()
        self._start_controller()
        for name, host in self._cluster.machines.nodes.items():
            self._start_speaker(name, host)
        # Without memberlist, a speaker that hears of a Service first and then of the Nodes that
        # could announce it does not look at the Service again.
        wait_until("all speakers know the Nodes", self._nodes_are_known, seconds=_START_SECONDS)

    def offer(self, network: str) -> None:
        """Let it give Services addresses of ``network``, and answer for them on the local net."""
        pool = {"addresses": [network]}
        # Not on the links to pods.
        advertisement = {"ipAddressPools": [_POOL], "interfaces": ["eth0"]}
        for kind, spec in (("IPAddressPool", pool), ("L2Advertisement", advertisement)):
            self._cluster.api.apply(_object(_API, kind, _POOL, spec), _NAMESPACE)

    def withdraw(self) -> None:
        """Let it give no more addresses."""
        for kind in ("L2Advertisement", "IPAddressPool"):
            self._cluster.api.delete(_API, kind, _POOL, _NAMESPACE)

    def assigned(self) -> int:
        """How many IPv4 addresses Services have of it."""
        status = self._cluster.api.get(_API, "IPAddressPool", _POOL, _NAMESPACE)["status"]
        return int(status["assignedIPv4"])

    def announcers(self, service: str) -> set[str]:
        """The nodes whose speakers say that they answer for a Service of the default namespace."""
        found = self._cluster.api.list(_API, "ServiceL2Status", _NAMESPACE)
        statuses = [one["status"] for one in found if "status" in one]
        return {one["node"] for one in statuses if one["serviceName"] == service}

    def check(self) -> None:
        """Raise ``MetalLbEndedError`` if one of its programs has ended by itself."""
        for log, process in self._processes.items():
            if process.poll() is not None:
                last = "\n".join(log.read_text().splitlines()[-5:])
                raise MetalLbEndedError(f"{log.stem} ended with {process.returncode}: {last}")

    def stop(self) -> None:
        """End its programs, which have nothing to put in order and would take their time."""
        for process in self._processes.values():
            process.kill()
        for process in self._processes.values():
            process.wait(_STOP_SECONDS)

    def _apply_manifest(self) -> None:
        manifest = (self._programs / "metallb-native.yaml").read_text()
        objects = [one for one in yaml.safe_load_all(manifest) if one["kind"] in _KINDS]
        control_plane = self._cluster.control_plane
        control_plane.put(*objects)
        control_plane.kubectl("wait", "--for=condition=Established", "crd", "--all")

    def _start_controller(self) -> None:
        # The webhook would need certificates, and would only refuse what is written wrongly.
        flags = (*self._access(METALLB_CONTROLLER), "--webhook-mode=disabled")
        self._start(self._cluster.machines.control, "controller", "metallb-controller.log", flags)

    def _start_speaker(self, node: str, host: Host) -> None:
        name = f"speaker-{node}"
        container = {"name": "speaker", "image": "speaker"}
        pod = _object("v1", "Pod", name, {"nodeName": node, "containers": [container]})
        self._cluster.api.apply(pod, _NAMESPACE)
        flags = (*self._access(METALLB_SPEAKER), f"--node-name={node}", f"--pod-name={name}")
        self._start(host, "speaker", f"metallb-{name}.log", flags)

    def _nodes_are_known(self) -> bool:
        self.check()
        return all(
            re.search(rf'"NodeReconciler","end reconcile":"/{node}"', log.read_text())
            for log in self._processes
            if "speaker" in log.name
            for node in self._cluster.machines.nodes
        )

    def _access(self, user: str) -> tuple[str, str]:
        kubeconfig = self._cluster.control_plane.kubeconfig(user)
        return f"--kubeconfig={kubeconfig}", f"--namespace={_NAMESPACE}"

    def _start(self, host: Host, program: str, log_name: str, flags: tuple[str, ...]) -> None:
        log = self._cluster.machines.lab.folder / log_name
        self._processes[log] = host.popen([str(self._programs / program), *flags], log=log)


@contextmanager
def running_metallb(cluster: Cluster, programs: Path) -> Iterator[MetalLb]:
    """Start MetalLB, and end it: other tests give Services their addresses themselves."""
    metallb = MetalLb(cluster, programs)
    try:
        metallb.start()
        yield metallb
    finally:
        metallb.stop()


def _object(version: str, kind: str, name: str, spec: Manifest) -> Manifest:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name}, "spec": spec}
