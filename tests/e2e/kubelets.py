# SPDX-License-Identifier: Apache-2.0
"""Kubelets of all nodes in one thread: they start pods as they come and end them as they go."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from threading import Event, Thread
from typing import Final, Generic, TypeVar

from kube.control_plane import ControlPlane
from lab import CommandFailedError
from tests.e2e.schema import Manifest

PodKey = tuple[str, str]
"""Namespace and name."""
Started = TypeVar("Started")

_PAUSE_SECONDS: Final = 0.1


class Kubelets(ABC, Generic[Started]):
    """What pods are made of, a subclass says."""

    def __init__(self, control_plane: ControlPlane) -> None:
        """Look after the pods of this cluster."""
        self._control_plane = control_plane
        self._started: dict[PodKey, Started] = {}
        self._stopped = Event()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Look after pods for the duration of the block, then end those that are left."""
        thread = Thread(target=self._run, name="kubelets")
        thread.start()
        try:
            yield
        finally:
            self._stopped.set()
            thread.join()
            for pod in list(self._started):
                self._end(self._started.pop(pod))

    @abstractmethod
    def _pods(self) -> Sequence[Manifest]:
        """All pods that there are."""

    @abstractmethod
    def _start(self, pod: Manifest) -> Started | None:
        """Start a pod, or return nothing if it cannot be started yet."""

    @abstractmethod
    def _tell(self, pod: Manifest, started: Started) -> None:
        """Bring the status of a pod up to date."""

    @abstractmethod
    def _end(self, started: Started) -> None:
        """End a pod that is gone."""

    def _run(self) -> None:
        while not self._stopped.wait(_PAUSE_SECONDS):
            pods = {_key(one): one for one in self._pods()}
            for key in self._started.keys() - pods.keys():
                self._end(self._started.pop(key))
            for key, pod in pods.items():
                # It may have been deleted since it was listed.
                with suppress(CommandFailedError):
                    self._look_after(key, pod)

    def _look_after(self, key: PodKey, pod: Manifest) -> None:
        if key not in self._started:
            started = self._start(pod)
            if started is None:
                return
            self._started[key] = started
        self._tell(pod, self._started[key])

    def _kubectl(self, *arguments: str, stdin: str = "") -> str:
        return self._control_plane.kubectl(*arguments, stdin=stdin)

    def _list(self, kind: str, *where: str) -> list[Manifest]:
        found = self._kubectl("get", kind, *(where or ("--all-namespaces",)), "--output=json")
        items: list[Manifest] = json.loads(found)["items"]
        return items

    def _set_status(self, pod: Manifest, status: Manifest) -> None:
        namespace, name = _key(pod)
        patch = f"--patch={json.dumps({'status': status})}"
        flags = ("--subresource=status", "--type=strategic", patch)
        self._kubectl("patch", "pod", name, f"--namespace={namespace}", *flags)


def _key(pod: Manifest) -> PodKey:
    return pod["metadata"]["namespace"], pod["metadata"]["name"]
