# SPDX-License-Identifier: Apache-2.0
"""Tells when something has changed in folders, and come to rest."""

from __future__ import annotations

from pathlib import Path
from threading import Event
from time import monotonic
from typing import Final

from watchdog.events import (
    DirCreatedEvent,
    DirDeletedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer
from watchdog.observers.api import ObservedWatch

from dataplane.errors import SourceError
from dataplane.sources.manifest_files import WatchedFolders

_QUIET_SECONDS: Final = 0.1
"""Nothing has happened for this long: writers write in several steps."""
_LONGEST_WAIT_SECONDS: Final = 1.0
"""Files that never come to rest must be read all the same."""
_RESCAN_SECONDS: Final = 30.0
"""Some changes come without an event: on NFS, those that another machine makes."""
_CHANGES: Final[list[type[FileSystemEvent]]] = [
    DirCreatedEvent,
    DirDeletedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileModifiedEvent,
    FileMovedEvent,
]
"""Opening and reading are left out: they would answer to our own reading."""


class FolderWatcher(FileSystemEventHandler):
    """Watches a set of folders that changes with what is found in them."""

    def __init__(self) -> None:
        """Watch nothing yet."""
        self._observer = Observer()
        self._watches: dict[tuple[Path, bool], ObservedWatch] = {}
        self._changed = Event()
        self._folder_changed = Event()

    def start(self) -> None:
        """Begin to collect events."""
        self._observer.start()

    def stop(self) -> None:
        """End, and let whoever waits go on."""
        self._observer.stop()
        self._observer.join()
        self._changed.set()

    def on_any_event(self, event: FileSystemEvent) -> None:
        """Note a change; called from the observer's thread."""
        if event.is_directory:
            self._folder_changed.set()
        self._changed.set()

    def wait_until_quiet(self) -> None:
        """Return when a change has come to rest, and now and then without one."""
        if not self._changed.wait(_RESCAN_SECONDS):
            return
        latest = monotonic() + _LONGEST_WAIT_SECONDS
        while monotonic() < latest:
            self._changed.clear()
            if not self._changed.wait(_QUIET_SECONDS):
                return

    def watch(self, folders: WatchedFolders) -> bool:
        """Watch exactly ``folders``; whether any of them was not watched so far.

        Raises:
            SourceError: one of them cannot be watched.
        """
        if self._folder_changed.is_set():
            # A folder may have been replaced by another of the same name: its watch is dead.
            self._folder_changed.clear()
            self._observer.unschedule_all()
            self._watches.clear()
        wanted = {(folder, True) for folder in folders.trees}
        wanted |= {(folder, False) for folder in folders.parents}
        for place in self._watches.keys() - wanted:
            self._observer.unschedule(self._watches.pop(place))
        new = wanted - self._watches.keys()
        for folder, is_tree in new:
            self._add(folder, is_tree=is_tree)
        return bool(new)

    def _add(self, folder: Path, *, is_tree: bool) -> None:
        try:
            watch = self._observer.schedule(
                self, str(folder), recursive=is_tree, event_filter=_CHANGES
            )
        except OSError as error:
            raise SourceError(
                f"{folder} cannot be watched: {error.strerror}; changes in it are noticed after up"
                f" to {_RESCAN_SECONDS:.0f} seconds"
            ) from None
        self._watches[folder, is_tree] = watch
