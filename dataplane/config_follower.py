# SPDX-License-Identifier: Apache-2.0
"""Follows the configuration file: what it says counts from the start of an agent on."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread

from dataplane.config.errors import ConfigError
from dataplane.config.file import read_usable_configuration
from dataplane.errors import SourceError
from dataplane.sources.folder_watcher import FolderWatcher
from dataplane.sources.manifest_files import WatchedFolders

_log = logging.getLogger(__name__)


class ConfigurationFollower:
    """Tells when the configuration file says something else, and that is usable.

    A file that cannot be used is logged: ending for its sake would leave the node without an agent.
    """

    def __init__(self, path: Path, on_change: Callable[[], None]) -> None:
        """Follow ``path``; ``on_change`` is called once, from a thread.

        Raises:
            ConfigError: the file cannot be used now.
        """
        self._path = path
        self._on_change = on_change
        self._configuration = read_usable_configuration(path)
        self._has_changed = False
        self._watcher = FolderWatcher()
        self._stopped = Event()
        self._thread = Thread(target=self._follow, name="configuration", daemon=True)

    @property
    def has_changed(self) -> bool:
        """Whether the file said something else that is usable."""
        return self._has_changed

    def start(self) -> None:
        """Begin to follow the file."""
        self._watcher.start()
        # In a ConfigMap's volume a symbolic link beside the file is what changes.
        folder = WatchedFolders(frozenset(), frozenset({self._path.absolute().parent}))
        try:
            self._watcher.watch(folder)
        except SourceError as error:
            _log.warning("%s", error)
        self._thread.start()

    def stop(self) -> None:
        """Follow the file no longer."""
        self._stopped.set()
        self._watcher.stop()
        self._thread.join()

    def _follow(self) -> None:
        reported = ""
        while True:
            self._watcher.wait_until_quiet()
            if self._stopped.is_set():
                return
            try:
                is_same = read_usable_configuration(self._path) == self._configuration
            except ConfigError as error:
                if str(error) != reported:
                    _log.error("the configuration in force stays: %s", error)
                reported = str(error)
                continue
            reported = ""
            if not is_same:
                self._has_changed = True
                self._on_change()
                return
