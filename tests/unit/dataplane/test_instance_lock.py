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
