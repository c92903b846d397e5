# SPDX-License-Identifier: Apache-2.0
"""The pods of one scenario, as real ones of our own image."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from kind.package import package
from kind.remote import Remote
from lab import wait_until
from lab.commands import run
from lab.plan import DualStack
from tests.e2e.api import Api
from tests.e2e.errors import ApiRefusedError, UnknownNameError
from tests.e2e.pods import FOREVER_SECONDS, manifest
from tests.e2e.schema import Manifest, Pod

PACKAGE: Final = "questions.zip"

_FOLDER: Final = "/questions"
GATE: Final = "kube-dataplane/ready"
"""Who sets this condition says whether the pod is ready."""
_START_SECONDS: Final = 90.0
_PAUSE_SECONDS: Final = 0.2


@dataclass(frozen=True, slots=True)
class RealPod:
    """A pod that runs."""

    host: Remote
    address: DualStack


class KindPods:
    """Adds pods, changes their state, and knows where they are."""

    def __init__(self, api: Api, nodes: Mapping[str, str], image: str, namespace: str) -> None:
        """Begin without any; ``nodes`` has kind's name for each of the scenario's."""
        self._api = api
        self._nodes = nodes
        self._image = image
        self._namespace = namespace
        self._placed: dict[str, RealPod] = {}

    def __getitem__(self, name: str) -> RealPod:
        """The pod of that name."""
        if name not in self._placed:
            raise UnknownNameError(f"there is no pod {name!r}; there are {sorted(self._placed)}")
        return self._placed[name]

    def add(self, pod: Pod) -> None:
        """Create it, wait until its servers answer, and only then let it be ready."""
        if pod.node not in self._nodes:
            raise UnknownNameError(f"there is no node {pod.node!r}; there are {[*self._nodes]}")
        if not self._placed:
            self._prepare()
        self._api.apply(real_pod(pod, self._nodes[pod.node], self._image), self._namespace)
        wait_until(
            f"pod {self._namespace}/{pod.name} runs",
            lambda: _is_serving(self._api.get("v1", "Pod", pod.name, self._namespace)),
            seconds=_START_SECONDS,
            pause_seconds=_PAUSE_SECONDS,
        )
        status = self._api.get("v1", "Pod", pod.name, self._namespace)["status"]
        addresses = dual_stack([one["ip"] for one in status["podIPs"]])
        host = Remote(pod_command(self._namespace, pod.name))
        self._placed[pod.name] = RealPod(host, addresses)
        self.change(pod.name, ready=pod.ready, terminating=pod.terminating)

    def change(self, name: str, *, ready: bool | None, terminating: bool | None) -> None:
        """Change what is given."""
        if ready is not None:
            self._set_gate(name, "True" if ready else "False")
        if terminating:
            self._api.delete("v1", "Pod", name, self._namespace, grace_seconds=FOREVER_SECONDS)

    def called(self, machine: str) -> str:
        """The pod of that name: servers call themselves like their pod."""
        return machine

    def release(self) -> None:
        """End the programs that asked."""
        for pod in self._placed.values():
            pod.host.close()
        self._placed.clear()

    def _prepare(self) -> None:
        """Pods need their program, and an account that a controller makes for each namespace."""
        content = base64.b64encode(package()).decode()
        questions = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "questions"},
            "binaryData": {PACKAGE: content},
        }
        self._api.apply(questions, self._namespace)
        wait_until(
            f"the namespace {self._namespace} has its account",
            self._has_account,
            pause_seconds=_PAUSE_SECONDS,
        )

    def _has_account(self) -> bool:
        try:
            self._api.get("v1", "ServiceAccount", "default", self._namespace)
        except ApiRefusedError:
            return False
        return True

    def _set_gate(self, name: str, status: str) -> None:
        # Not a merge patch: that would replace the conditions that the kubelet sets.
        patch = {"status": {"conditions": [{"type": GATE, "status": status}]}}
        flags = ("--subresource=status", "--type=strategic", f"--patch={json.dumps(patch)}")
        run(["kubectl", f"--namespace={self._namespace}", "patch", "pod", name, *flags])


def pod_command(namespace: str, name: str) -> tuple[str, ...]:
    """What runs a command in a pod."""
    return ("kubectl", "exec", "--stdin", f"--namespace={namespace}", name, "--")


def real_pod(pod: Pod, node: str, image: str) -> Manifest:
    """The manifest of a pod that runs, for one that only has to look like it."""
    made = manifest(pod)
    (container,) = made["spec"]["containers"]
    ports = sorted(set(pod.ports.values()))
    container |= {
        "image": image,
        "command": ["python3", "-m", "kind.inside", "serve", pod.name, "$(ADDRESSES)"]
        + [str(port) for port in ports],
        "env": [
            {"name": "PYTHONPATH", "value": f"{_FOLDER}/{PACKAGE}"},
            {"name": "ADDRESSES", "valueFrom": {"fieldRef": {"fieldPath": "status.podIPs"}}},
        ],
        "volumeMounts": [{"name": "questions", "mountPath": _FOLDER, "readOnly": True}],
        "readinessProbe": {"tcpSocket": {"port": ports[0]}, "periodSeconds": 1},
    }
    made["spec"] |= {
        "nodeName": node,
        "readinessGates": [{"conditionType": GATE}],
        "terminationGracePeriodSeconds": FOREVER_SECONDS,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "tolerations": [{"operator": "Exists"}],
        "volumes": [{"name": "questions", "configMap": {"name": "questions"}}],
    }
    return made


def _is_serving(pod: Manifest) -> bool:
    conditions = {one["type"]: one["status"] for one in pod["status"].get("conditions", [])}
    return conditions.get("ContainersReady") == "True"


def dual_stack(addresses: list[str]) -> DualStack:
    """The one address of each family among some."""
    (ipv4,) = (one for one in addresses if ":" not in one)
    (ipv6,) = (one for one in addresses if ":" in one)
    return DualStack(ipv4, ipv6)
