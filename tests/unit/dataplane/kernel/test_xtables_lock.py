# SPDX-License-Identifier: Apache-2.0
"""What keeps the lock from being had; tests/kernel/test_writers.py has other holders of it."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from errno import EIO, ENOLCK
from pathlib import Path

import pytest

from dataplane.errors import LockError, LockTimeoutError
from dataplane.kernel.xtables_lock import xtables_lock


@pytest.fixture(autouse=True)
def lock_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A lock of the test's own."""
    path = tmp_path / "xtables.lock"
    monkeypatch.setenv("XTABLES_LOCKFILE", str(path))
    return path


@pytest.fixture
def is_left_open(monkeypatch: pytest.MonkeyPatch) -> Callable[[], bool]:
    """Whether the lock file was opened more often than closed."""
    opened: list[int] = []
    open_file, close_file = os.open, os.close

    def opening(*arguments: object) -> int:
        opened.append(open_file(*arguments))  # type: ignore[arg-type] # passed on as they are
        return opened[-1]

    def closing(descriptor: int) -> None:
        opened.remove(descriptor)
        close_file(descriptor)

    monkeypatch.setattr(os, "open", opening)
    monkeypatch.setattr(os, "close", closing)
    return lambda: bool(opened)


def test_a_file_that_cannot_be_locked_is_an_error_with_a_name(
    lock_file: Path, monkeypatch: pytest.MonkeyPatch, is_left_open: Callable[[], bool]
) -> None:
    """Some file systems know no locks: a sync fails then, and the agent goes on."""

    def refuse(_descriptor: int, _operation: int) -> None:
        raise OSError(ENOLCK, os.strerror(ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)
    text = f"cannot lock the xtables lock {lock_file}: No locks available"
    with pytest.raises(LockError, match=text), xtables_lock(1.0):
        pass
    assert not is_left_open()


def test_a_failure_after_some_waiting_is_the_same(
    lock_file: Path, monkeypatch: pytest.MonkeyPatch, is_left_open: Callable[[], bool]
) -> None:
    """The thread that waits for the lock passes on what it meets."""

    def refuse(_descriptor: int, operation: int) -> None:
        if operation & fcntl.LOCK_NB:
            raise BlockingIOError
        raise OSError(EIO, os.strerror(EIO))

    monkeypatch.setattr(fcntl, "flock", refuse)
    text = f"cannot lock the xtables lock {lock_file}: Input/output error"
    with pytest.raises(LockError, match=text), xtables_lock(60.0):
        pass
    assert not is_left_open()


def test_a_file_that_cannot_be_opened_is_no_timeout(lock_file: Path) -> None:
    """Nobody holds it, so that waiting longer is no remedy."""
    lock_file.mkdir()
    text = "cannot open the xtables lock"
    with pytest.raises(LockError, match=text) as caught, xtables_lock(1.0):
        pass
    assert not isinstance(caught.value, LockTimeoutError)
