# SPDX-License-Identifier: Apache-2.0
"""Waiting for a condition, with an end."""

from __future__ import annotations

import time
from collections.abc import Callable

from lab.errors import NotInTimeError


def wait_until(
    what: str,
    condition: Callable[[], bool],
    *,
    seconds: float = 10.0,
    pause_seconds: float = 0.02,
) -> None:
    """Return as soon as ``condition`` holds; ``what`` completes "waited in vain until ..."."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() >= deadline:
            raise NotInTimeError(what, seconds)
        time.sleep(pause_seconds)
