# SPDX-License-Identifier: Apache-2.0
"""Which files under the given paths hold manifests, and where to watch for changes of that."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

_SUFFIXES: Final = frozenset({".yaml", ".yml", ".json"})


class WatchedFolders(NamedTuple):
    """The folders in which a change may change the outcome, without symbolic links."""

    trees: frozenset[Path]
    """To be watched with all that is below them."""
    parents: frozenset[Path]
    """To be watched for their own entries: a path may be replaced as a whole."""


class Scan(NamedTuple):
    """One look at the file system."""

    files: tuple[Path, ...]
    """In the order of the paths, within a folder by name."""
    folders: WatchedFolders


def scan(paths: Iterable[Path]) -> Scan:
    """Find the manifests at ``paths`` and below; a path that is gone holds none.

    A file that is named itself counts whatever its suffix. In folders, names that begin with a dot
    do not count: editors and ConfigMap volumes keep copies there.
    """
    files: list[Path] = []
    folders: set[Path] = set()
    parents: set[Path] = set()
    for path in paths:
        parents |= {path.absolute().parent.resolve(), path.resolve().parent}
        files.extend(_files(path, folders, frozenset()))
    return Scan(tuple(files), WatchedFolders(_topmost(folders), frozenset(parents)))


def _files(path: Path, folders: set[Path], above: frozenset[Path]) -> Iterator[Path]:
    if not path.is_dir():
        if path.is_file():
            yield path
        return
    real = path.resolve()
    if real in above:
        # A symbolic link to a folder above: everything in it is seen already.
        return
    folders.add(real)
    for entry in sorted(path.iterdir()):
        if entry.name.startswith("."):
            continue
        if entry.is_dir() or entry.suffix in _SUFFIXES:
            yield from _files(entry, folders, above | {real})


def _topmost(folders: Iterable[Path]) -> frozenset[Path]:
    """Those of ``folders`` that are not below another."""
    known = frozenset(folders)
    return frozenset(folder for folder in known if known.isdisjoint(folder.parents))
