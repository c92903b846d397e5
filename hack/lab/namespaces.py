# SPDX-License-Identifier: Apache-2.0
"""Network namespaces that carry their owner's process id in their name.

The name says who may remove a namespace: its owner, or anybody once the owner is dead
(:func:`sweep`). Namespaces of other names are never touched.
"""

from __future__ import annotations

import ctypes
import fcntl
import itertools
import os
import re
import shutil
import signal
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lab.commands import run_ip

_NAMED = Path("/run/netns")
_THIS_THREAD = Path("/proc/thread-self/ns/net")
_MARK = "kdp"
_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)
_serial = itertools.count(1)


def new_prefix() -> str:
    """Return a prefix for names of one lab: no other lab, here or elsewhere, has the same."""
    return f"{_MARK}-{os.getpid()}-{next(_serial)}-"


def add_namespaces(names: Iterable[str]) -> None:
    """Create namespaces, with the loopback device still down."""
    run_ip(f"netns add {name}" for name in names)


def remove_namespaces(names: Iterable[str]) -> None:
    """Remove those of ``names`` that exist, and kill who lives there.

    A process would keep its namespace alive, without a name that anybody could find it by.
    """
    existing = [name for name in names if (_NAMED / name).exists()]
    for pid in _residents(existing):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    if existing:
        run_ip((f"netns delete {name}" for name in existing), keep_going=True)


def sweep() -> tuple[str, ...]:
    """Remove what labs of dead processes left behind, and return the names of the namespaces."""
    folder = Path(tempfile.gettempdir())
    with _sole_sweeper(folder):
        left = tuple(name for name in _entries(_NAMED) if _owner_is_dead(name))
        remove_namespaces(left)
        for name in _entries(folder):
            if _owner_is_dead(name):
                shutil.rmtree(folder / name, ignore_errors=True)
    return left


@contextmanager
def entered(namespace: str) -> Iterator[None]:
    """Let the calling thread, and it alone, live in ``namespace`` for the duration of the block.

    Sockets keep the namespace they were created in, and ``/proc/sys/net`` shows that of the
    thread. ``/sys`` does not follow. Threads and processes started in the block begin inside.
    """
    with _THIS_THREAD.open("rb") as home, (_NAMED / namespace).open("rb") as target:
        _set_namespace(target.fileno())
        try:
            yield
        finally:
            _set_namespace(home.fileno())


@contextmanager
def _sole_sweeper(folder: Path) -> Iterator[None]:
    """Let one process sweep at a time.

    Of two, one would look for who lives in a namespace that the other removes, and whose number the
    kernel may give to a new one.
    """
    with (folder / f"{_MARK}-sweep.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _set_namespace(descriptor: int) -> None:
    if _libc.setns(descriptor, _CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"setns: {os.strerror(number)}")


def _residents(names: Iterable[str]) -> list[int]:
    wanted = {(_NAMED / name).stat().st_ino for name in names}
    pids = []
    for process in Path("/proc").glob("[0-9]*"):
        # Some go while this loop runs; some are too well protected to be looked at, or to be ours.
        with suppress(FileNotFoundError, ProcessLookupError, PermissionError):
            if (process / "ns" / "net").stat().st_ino in wanted:
                pids.append(int(process.name))
    return pids


def _entries(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir()) if folder.is_dir() else []


def _owner_is_dead(name: str) -> bool:
    owned = re.match(rf"{_MARK}-(?P<pid>\d+)-\d+-", name)
    return owned is not None and not Path("/proc", owned["pid"]).exists()
