# SPDX-License-Identifier: Apache-2.0
"""Memory of a process that holds hundreds of thousands of small values for a long time."""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Final

_lock: Final = Lock()
_makers = 0
"""How many are at it now, in whatever thread."""
_libc: Final = ctypes.CDLL(None)


@contextmanager
def many_values() -> Iterator[None]:
    """Make many values that stay, without the cyclic collector's looking at them again and again.

    Modules that are loaded are such values, too.

    They hold no cycles, so that counting references frees them; the collector would cost as much as
    making them does.
    """
    _change_makers(+1)
    try:
        yield
    finally:
        _change_makers(-1)


def _change_makers(difference: int) -> None:
    global _makers  # noqa: PLW0603 - the collector is the process's, too
    with _lock:
        _makers += difference
        if _makers:
            gc.disable()
        else:
            gc.enable()


def settle() -> None:
    """After a large transaction: keep what stays, give back what was needed for a moment.

    What stays is hidden from the collector, which would look at it again and again. What is free is
    given back to the system: the allocator keeps it otherwise, three times what the process holds.
    """
    gc.freeze()
    trim = getattr(_libc, "malloc_trim", None)
    if trim is not None:
        trim(0)
