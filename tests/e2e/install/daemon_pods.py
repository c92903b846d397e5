# SPDX-License-Identifier: Apache-2.0
"""Kubelets for the pods of DaemonSets, whose containers are processes on the node's network.

They stand in for the scheduler too, which has no choice: a pod of a DaemonSet names its node.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from subprocess import Popen
from typing import Any, Final

from kube.control_plane import ControlPlane
from lab import Host
from tests.e2e.install.asked import DECLARED, Container, answering_kubelets
from tests.e2e.kubelets import Kubelets
from tests.e2e.schema import Manifest
from tests.shipping.container import in_container, in_running_container
from tests.shipping.places import REPOSITORY

_NAMESPACE: Final = "kube-system"
_ACCOUNT: Final = "/var/run/secrets/kubernetes.io/serviceaccount"
_TERMINAL: Final = ("TERM=xterm", "HOME=/")
"""What a terminal has in its environment besides, of which the second is the image's."""
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
    container: Container


class DaemonPods(Kubelets[DaemonPod]):
    """Starts pods of :data:`_NAMESPACE` with their rights, mounts, account and configuration."""

    def __init__(
        self,
        control_plane: ControlPlane,
        nodes: Mapping[str, Host],
        images: Mapping[str, Image],
        folder: Path,
    ) -> None:
        """Keep what pods need, and what they write, in ``folder``; ``images`` are by name."""
        super().__init__(control_plane)
        self._nodes = nodes
        self._images = images
        self._folder = folder

    @contextmanager
    def running(self) -> Iterator[None]:
        """Look after pods, and answer the API server, for the duration of the block."""
        status = f"--patch={json.dumps({'status': {'declaredFeatures': DECLARED}})}"
        for node in self._nodes:
            self._kubectl("patch", "node", node, "--subresource=status", status)
        answering = answering_kubelets(
            self._nodes.values(), self._container, self._control_plane.key_pair
        )
        with super().running(), answering:
            yield

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
        process = host.popen(self._command(pod, container), log=log)
        rights = in_running_container(process.pid, container["securityContext"])
        enter = (*rights, *self._environment(pod, container), *_TERMINAL)
        return DaemonPod(host, process, Container(log, enter))

    def _tell(self, pod: Manifest, started: DaemonPod) -> None:
        if "deletionTimestamp" in pod["metadata"]:
            self._end(started)
            self._forget(pod)
            return
        ready = "True" if _is_ready(pod, started) else "False"
        conditions = {one["type"]: one["status"] for one in pod["status"].get("conditions", [])}
        if conditions.get("Ready") != ready:
            self._set_status(pod, _status(pod, ready))

    def _end(self, started: DaemonPod) -> None:
        started.process.terminate()
        started.process.wait(_STOP_SECONDS)

    def _container(self, pod: str) -> Container | None:
        started = self._started.get((_NAMESPACE, pod))
        return started.container if started else None

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
        program = container.get("command", image.entry_point)
        argv = [one.replace("$(NODE_NAME)", node) for one in (*program, *container.get("args", ()))]
        return [*become, *self._environment(pod, container), *argv]

    def _environment(self, pod: Manifest, container: Manifest) -> list[str]:
        """A command that becomes the one behind it, with the container's environment."""
        path = f"PATH={self._images[container['image']].path}"
        return ["env", "--ignore-environment", path, f"NODE_NAME={pod['spec']['nodeName']}"]

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
        certificate, _ = self._control_plane.key_pair
        token = self._kubectl("create", "token", account, f"--namespace={_NAMESPACE}")
        return {"token": token.strip(), "ca.crt": certificate.read_text()}

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


def _status(pod: Manifest, ready: str) -> Manifest:
    (container,) = pod["spec"]["containers"]
    running = {
        "name": container["name"],
        "ready": ready == "True",
        "image": container["image"],
        "imageID": container["image"],
        "restartCount": 0,
        "state": {"running": {}},
    }
    return {
        "phase": "Running",
        "conditions": [{"type": kind, "status": ready} for kind in ("Ready", "ContainersReady")],
        "containerStatuses": [running],
    }
