# SPDX-License-Identifier: Apache-2.0
"""The lock that every writer of legacy tables takes: flock(2) on a file.

libiptc takes none. Without it, a rule that another program changes between our read and our commit
would be silently put back to what it was.

Sources: iptables/xshared.c (``xtables_lock``), and its ``XTABLES_LOCKFILE`` variable.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Lock, Thread
from time import monotonic
from typing import Final

from dataplane.errors import LockError, LockTimeoutError

_VARIABLE: Final = "XTABLES_LOCKFILE"
_DEFAULT_PATH: Final = "/run/xtables.lock"
_MODE: Final = 0o600


def lock_path() -> str:
    """The lock file, as iptables chooses it."""
    return os.environ.get(_VARIABLE, _DEFAULT_PATH)


@contextmanager
def xtables_lock(
    timeout_seconds: float, on_waited: Callable[[float], None] = lambda _: None
) -> Iterator[None]:
    """Hold the lock; wait for it at most ``timeout_seconds``.

    ``on_waited`` is told for how many seconds the lock was waited for, also if in vain.

    Raises:
        LockTimeoutError: somebody else held it all that time.
        LockError: its file cannot be opened or locked.
    """
    path = lock_path()
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, _MODE)
    except OSError as error:
        raise LockError(
            f"cannot open the xtables lock {path}: {error.strerror}; make it writable, or name "
            f"another file in {_VARIABLE}"
        ) from error
    started = monotonic()
    try:
        is_held = _try(descriptor) or _Waiter(descriptor).wait(timeout_seconds)
    except OSError as error:
        os.close(descriptor)
        raise LockError(
            f"cannot lock the xtables lock {path}: {error.strerror}; see to the file system that "
            "it stands on"
        ) from error
    on_waited(monotonic() - started)
    if not is_held:
        raise LockTimeoutError(
            f"another process held the xtables lock {path} for {timeout_seconds:g} s; the table is "
            "as it was"
        )
    try:
        yield
    finally:
        os.close(descriptor)


def _try(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


class _Waiter:
    """Waits for the lock on a thread of its own, since flock(2) has no time-out.

    Trying again and again instead would starve: a waiter that blocks is served at once. A waiter
    that is given up closes the file as soon as it gets the lock, which hands it on.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._ended = Event()
        self._error: OSError | None = None
        self._lock = Lock()
        self._abandoned = False
        Thread(target=self._run, name="xtables-lock", daemon=True).start()

    def wait(self, timeout_seconds: float) -> bool:
        """Whether the lock is held; if not, the descriptor is no longer the caller's.

        Raises:
            OSError: the file cannot be locked; the descriptor is still the caller's.
        """
        self._ended.wait(timeout_seconds)
        with self._lock:
            self._abandoned = not self._ended.is_set()
        if self._error is not None:
            raise self._error
        return not self._abandoned

    def _run(self) -> None:
        failure = None
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        except OSError as error:
            failure = error
        with self._lock:
            if self._abandoned:
                os.close(self._descriptor)
            else:
                self._error = failure
                self._ended.set()
