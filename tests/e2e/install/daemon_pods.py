# SPDX-License-Identifier: Apache-2.0
"""Kubelets for the pods of DaemonSets, whose containers are processes on the node's network.

They stand in for the scheduler too, which has no choice: a pod of a DaemonSet names its node.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from subprocess import Popen
from typing import Any, Final

from kube.control_plane import ControlPlane
from lab import Host
from tests.e2e.kubelets import Kubelets
from tests.e2e.schema import Manifest
from tests.shipping.container import in_container
from tests.shipping.places import REPOSITORY

_NAMESPACE: Final = "kube-system"
_ACCOUNT: Final = "/var/run/secrets/kubernetes.io/serviceaccount"
_STOP_SECONDS: Final = 30.0
_PROBE_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Image:
    """What a container of an image finds in it, beside what this machine has."""

    entry_point: tuple[str, ...]
    files: Mapping[str, Path]
    """By their path in the image."""
    path: str
    """The folders of its programs."""


@dataclass(frozen=True, slots=True)
class DaemonPod:
    """A pod that runs."""

    host: Host
    process: Popen[bytes]


class DaemonPods(Kubelets[DaemonPod]):
    """Starts pods of :data:`_NAMESPACE` with their rights, mounts, account and configuration."""

    def __init__(
        self,
        control_plane: ControlPlane,
        nodes: Mapping[str, Host],
        images: Mapping[str, Image],
        folder: Path,
        certificate: Path,
    ) -> None:
        """Keep what pods need, and what they write, in ``folder``; ``images`` are by name.

        ``certificate`` is the API server's.
        """
        super().__init__(control_plane)
        self._nodes = nodes
        self._images = images
        self._folder = folder
        self._certificate = certificate

    def _pods(self) -> Sequence[Manifest]:
        return self._list("pods", f"--namespace={_NAMESPACE}")

    def _start(self, pod: Manifest) -> DaemonPod | None:
        spec, name = pod["spec"], pod["metadata"]["name"]
        if "deletionTimestamp" in pod["metadata"]:
            self._forget(pod)
            return None
        if "nodeName" not in spec:
            self._bind(pod)
            return None
        host = self._nodes[spec["nodeName"]]
        log = self._folder / f"{name}.log"
        for step in spec.get("initContainers", ()):
            host.run(self._command(pod, step))
        (container,) = spec["containers"]
        return DaemonPod(host, host.popen(self._command(pod, container), log=log))

    def _tell(self, pod: Manifest, started: DaemonPod) -> None:
        if "deletionTimestamp" in pod["metadata"]:
            self._end(started)
            self._forget(pod)
            return
        ready = "True" if _is_ready(pod, started) else "False"
        conditions = {one["type"]: one["status"] for one in pod["status"].get("conditions", [])}
        if conditions.get("Ready") != ready:
            self._set_status(pod, {"phase": "Running", "conditions": _conditions(ready)})

    def _end(self, started: DaemonPod) -> None:
        started.process.terminate()
        started.process.wait(_STOP_SECONDS)

    def _bind(self, pod: Manifest) -> None:
        name = pod["metadata"]["name"]
        required = pod["spec"]["affinity"]["nodeAffinity"][
            "requiredDuringSchedulingIgnoredDuringExecution"
        ]
        ((field,), *_) = (term["matchFields"] for term in required["nodeSelectorTerms"])
        (node,) = field["values"]
        binding = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": name},
            "target": {"apiVersion": "v1", "kind": "Node", "name": node},
        }
        path = f"/api/v1/namespaces/{_NAMESPACE}/pods/{name}/binding"
        self._kubectl("create", f"--raw={path}", "--filename=-", stdin=json.dumps(binding))

    def _forget(self, pod: Manifest) -> None:
        """Tell that its processes are gone."""
        name = pod["metadata"]["name"]
        flags = ("--grace-period=0", "--force", "--wait=false", "--ignore-not-found")
        self._kubectl("delete", "pod", name, f"--namespace={_NAMESPACE}", *flags)

    def _command(self, pod: Manifest, container: Manifest) -> list[str]:
        node = pod["spec"]["nodeName"]
        image = self._images[container["image"]]
        folder = self._folder / pod["metadata"]["name"]
        place = folder / "containers" / container["name"]
        mounts = {
            **{inside: str(file) for inside, file in image.files.items()},
            **self._mounts(pod, container, folder),
            # In front of all: the image has the command wherever this repository was cloned to.
            str(REPOSITORY): str(REPOSITORY),
        }
        become = in_container(place, container["securityContext"], mounts)
        environment = ["env", "--ignore-environment", f"PATH={image.path}", f"NODE_NAME={node}"]
        program = container.get("command", image.entry_point)
        argv = [*program, *container.get("args", ())]
        return [*become, *environment, *(one.replace("$(NODE_NAME)", node) for one in argv)]

    def _mounts(self, pod: Manifest, container: Manifest, folder: Path) -> dict[str, str]:
        volumes = {one["name"]: one for one in pod["spec"]["volumes"]}
        account = folder / "account"
        self._fill(account, self._account_files(pod["spec"]["serviceAccountName"]))
        return {_ACCOUNT: str(account)} | {
            mount["mountPath"]: str(self._volume(pod, volumes[mount["name"]], folder))
            for mount in container["volumeMounts"]
        }

    def _volume(self, pod: Manifest, volume: Mapping[str, Any], folder: Path) -> Path:
        match volume:
            case {"hostPath": {"path": "/run/xtables.lock"}}:
                file = self._nodes[pod["spec"]["nodeName"]].lock_file
                file.touch()
                return file
            case {"hostPath": {"path": str(path), "type": "FileOrCreate"}}:
                file = self._folder / f"{pod['spec']['nodeName']}{path.replace('/', '.')}"
                file.touch()
                return file
            case {"hostPath": {"path": str(path)}} if Path(path).exists():
                return Path(path)
            case {"configMap": {"name": str(name)}, "name": str(own)}:
                return self._fill(folder / "volumes" / own, self._configuration(name))
            # What a node does not have, runtimes make as an empty folder.
            case {"emptyDir": _, "name": str(own)} | {"hostPath": _, "name": str(own)}:
                return self._fill(folder / "volumes" / own, {})
        raise AssertionError(volume)

    def _configuration(self, name: str) -> dict[str, str]:
        found = self._kubectl("get", "configmap", name, f"--namespace={_NAMESPACE}", "-ojson")
        files: dict[str, str] = json.loads(found)["data"]
        return files

    def _account_files(self, account: str) -> dict[str, str]:
        token = self._kubectl("create", "token", account, f"--namespace={_NAMESPACE}")
        return {"token": token.strip(), "ca.crt": self._certificate.read_text()}

    @staticmethod
    def _fill(folder: Path, files: Mapping[str, str]) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (folder / name).write_text(text, encoding="utf-8")
        return folder


def _is_ready(pod: Manifest, started: DaemonPod) -> bool:
    if started.process.poll() is not None:
        return False
    (container,) = pod["spec"]["containers"]
    if "readinessProbe" not in container:
        return True
    probe = container["readinessProbe"]["httpGet"]
    url = f"http://127.0.0.1:{probe['port']}{probe['path']}"
    with suppress(OSError):
        status, _ = started.host.fetch(url, _PROBE_SECONDS)
        return status == HTTPStatus.OK
    return False


def _conditions(ready: str) -> list[Manifest]:
    return [{"type": kind, "status": ready} for kind in ("Ready", "ContainersReady")]
