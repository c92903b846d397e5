# SPDX-License-Identifier: Apache-2.0
"""The file that keeps out a second agent; tests/faults/test_second_instance.py has real ones."""

from __future__ import annotations

import fcntl
import os
from errno import ENOLCK
from pathlib import Path

import pytest

from dataplane.instance_lock import SecondInstanceError, instance_lock


def test_a_file_that_cannot_be_locked_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One clear line: an agent that cannot keep out others must not start."""

    def refuse(_descriptor: int, _operation: int) -> None:
        raise OSError(ENOLCK, os.strerror(ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)
    path = tmp_path / "agent.lock"
    text = f"cannot lock {path}: No locks available"
    with pytest.raises(SecondInstanceError, match=text), instance_lock(path):
        pass


def test_the_first_agent_is_named_to_the_second(tmp_path: Path) -> None:
    """On the same machine its process number is all that is needed to find it."""
    path = tmp_path / "agent.lock"
    text = rf"another agent \(pid {os.getpid()}\) programs this node already and holds {path};"
    with instance_lock(path), pytest.raises(SecondInstanceError, match=text), instance_lock(path):
        pass


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("7 1\n", "(pid 7 as its own container counts)"),
        ("", "(whose process is not known)"),
        ("\0\xff", "(whose process is not known)"),
    ],
    ids=["container", "full disk", "garbage"],
)
def test_numbers_of_other_containers_are_told_as_such(
    tmp_path: Path, written: str, told: str
) -> None:
    """A number that means nothing here is not passed off as one of this machine."""
    path = tmp_path / "agent.lock"
    with instance_lock(path):
        path.write_text(written, encoding="latin-1")
        with pytest.raises(SecondInstanceError) as caught, instance_lock(path):
            pass
    assert told in str(caught.value)
