# SPDX-License-Identifier: Apache-2.0
"""One agent a node: two would undo each other's work for ever."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from dataplane.errors import DataplaneError

_MODE: Final = 0o644
_TEXT_SIZE: Final = 64


class SecondInstanceError(DataplaneError):
    """Another agent programs this node already, or it cannot be found out."""


@contextmanager
def instance_lock(path: Path) -> Iterator[None]:
    """Hold the lock file; the kernel gives it back when the process ends, however it ends.

    Raises:
        SecondInstanceError: another process holds it, or it cannot be opened or locked.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _MODE)
    except OSError as error:
        raise SecondInstanceError(f"cannot open the lock file {path}: {error.strerror}") from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise SecondInstanceError(
                f"another agent ({_holder(descriptor)}) programs this node already and holds "
                f"{path}; stop it first"
            ) from error
        except OSError as error:
            raise SecondInstanceError(
                f"cannot lock {path}: {error.strerror}, so that a second agent would not be "
                "noticed; choose a file on another file system with --lock-file"
            ) from error
        _introduce(descriptor)
        yield
    finally:
        os.close(descriptor)


def _introduce(descriptor: int) -> None:
    """Tell a second instance whom it meets; a full disk must not keep this one from working."""
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()} {_pid_namespace()}\n".encode(), 0)
    except OSError:
        return


def _holder(descriptor: int) -> str:
    """Who holds the lock, as :func:`_introduce` told; its number means nothing elsewhere."""
    text = os.pread(descriptor, _TEXT_SIZE, 0).decode(errors="replace")
    pid, _, namespace = text.strip().partition(" ")
    if not pid.isdecimal():
        return "whose process is not known"
    if namespace != _pid_namespace():
        return f"pid {pid} as its own container counts"
    return f"pid {pid}"


def _pid_namespace() -> str:
    """Within which process numbers are the same; empty if it cannot be told."""
    try:
        return str(Path("/proc/self/ns/pid").stat().st_ino)
    except OSError:
        return ""
