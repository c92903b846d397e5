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
_PID_SIZE: Final = 32


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
            holder = os.pread(descriptor, _PID_SIZE, 0).decode(errors="replace").strip()
            raise SecondInstanceError(
                f"another agent (pid {holder or 'unknown'}) programs this node already and holds "
                f"{path}; stop it first"
            ) from error
        except OSError as error:
            raise SecondInstanceError(
                f"cannot lock {path}: {error.strerror}, so that a second agent would not be "
                "noticed; choose a file on another file system with --lock-file"
            ) from error
        _write_pid(descriptor)
        yield
    finally:
        os.close(descriptor)


def _write_pid(descriptor: int) -> None:
    """Tell a second instance whom it meets; a full disk must not keep this one from working."""
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    except OSError:
        return
