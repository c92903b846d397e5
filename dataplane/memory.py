# SPDX-License-Identifier: Apache-2.0
"""Memory of a process that holds hundreds of thousands of small values for a long time."""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_libc: Final = ctypes.CDLL(None)


@contextmanager
def many_values() -> Iterator[None]:
    """Make many values that stay, without the cyclic collector's looking at them again and again.

    They hold no cycles, so that counting references frees them; the collector would cost as much as
    making them does.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def return_free_memory() -> None:
    """Give the system back what a large transaction needed for a moment.

    The allocator keeps it otherwise: three times what the process holds for good.
    """
    trim = getattr(_libc, "malloc_trim", None)
    if trim is not None:
        trim(0)
