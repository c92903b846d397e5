# SPDX-License-Identifier: Apache-2.0
"""Manifests on disk as a source: read once, or followed as the files change."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from threading import Event, Thread
from typing import Final

from dataplane.errors import SourceError
from dataplane.sources.base import SourceObserver
from dataplane.sources.folder_watcher import FolderWatcher
from dataplane.sources.manifest_set import Manifests, ManifestSet
from dataplane.state import StateSink

_WHAT: Final = "manifests"


def load_manifests(paths: Iterable[Path], node_name: str, observer: SourceObserver) -> Manifests:
    """Read ``paths`` once, for the node ``node_name``.

    Raises:
        SourceError: there is no such path, or it cannot be read.
    """
    manifests = ManifestSet(_existing(paths), node_name).read()
    for error in manifests.errors:
        observer.skipped(error)
    return manifests


class ManifestSource:
    """Delivers manifests and follows their changes; a Source."""

    def __init__(
        self, paths: Iterable[Path], node_name: str, sink: StateSink, observer: SourceObserver
    ) -> None:
        """Follow ``paths`` for the node ``node_name``."""
        self._paths = tuple(paths)
        self._set = ManifestSet(self._paths, node_name)
        self._sink = sink
        self._observer = observer
        self._delivered: Manifests | None = None
        self._is_interrupted = False
        self._watcher = FolderWatcher()
        self._stopped = Event()
        self._thread = Thread(target=self._follow, name=_WHAT, daemon=True)

    def start(self) -> None:
        """Deliver what stands in the files now, then follow them in a thread.

        Raises:
            SourceError: there is no such path, or it cannot be read.
        """
        _existing(self._paths)
        manifests = self._set.read()
        self._watcher.start()
        try:
            self._take(manifests)
        except SourceError as error:
            self._interrupt(error)
        self._thread.start()

    def stop(self) -> None:
        """Follow the files no longer."""
        self._stopped.set()
        self._watcher.stop()
        self._thread.join()

    def _follow(self) -> None:
        while True:
            self._watcher.wait_until_quiet()
            if self._stopped.is_set():
                return
            try:
                self._take(self._set.read())
            except Exception as error:  # noqa: BLE001 - a dead thread would freeze the node's rules
                self._interrupt(error)

    def _take(self, manifests: Manifests) -> None:
        """Deliver ``manifests``, or what is read once all folders are watched.

        Raises:
            SourceError: a folder cannot be watched, or not be read again; the last good reading is
                delivered.
        """
        try:
            while self._watcher.watch(self._set.folders):
                manifests = self._set.read()
        finally:
            self._deliver(manifests)
        if self._is_interrupted:
            self._is_interrupted = False
            self._observer.resumed(_WHAT)

    def _interrupt(self, error: Exception) -> None:
        self._is_interrupted = True
        self._observer.interrupted(_WHAT, error)

    def _deliver(self, manifests: Manifests) -> None:
        delivered = self._delivered
        if manifests == delivered:
            # Something else changed in the same folders.
            return
        reported = {str(error) for error in delivered.errors} if delivered else set()
        for error in manifests.errors:
            if str(error) not in reported:
                self._observer.skipped(error)
        manifests.deliver(self._sink)
        self._delivered = manifests
        self._observer.listed(_WHAT, len(manifests.services) + len(manifests.slices))


def _existing(paths: Iterable[Path]) -> tuple[Path, ...]:
    found = tuple(paths)
    for path in found:
        if not path.exists():
            raise SourceError(f"{path}: no such file or folder")
    return found
