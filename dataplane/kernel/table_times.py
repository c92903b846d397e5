# SPDX-License-Identifier: Apache-2.0
"""How long the parts of programming one table take."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic
from typing import Final


@dataclass(frozen=True, slots=True)
class TableTimes:
    """Seconds that passed until one table was as desired."""

    total: float
    lock: float
    """Waiting for the xtables lock."""
    kernel: float
    """Reading the table and committing it: the kernel's work, and libiptc's."""

    @property
    def compare(self) -> float:
        """The rest: finding what differs, and editing it."""
        return self.total - self.lock - self.kernel

    def __add__(self, other: TableTimes) -> TableTimes:
        return TableTimes(
            self.total + other.total, self.lock + other.lock, self.kernel + other.kernel
        )


NO_TIME: Final = TableTimes(0.0, 0.0, 0.0)


class StopWatch:
    """Takes the times of one table; runs from the moment it is made."""

    def __init__(self) -> None:
        self._started = monotonic()
        self._lock = 0.0
        self._kernel = 0.0

    def lock_waited(self, seconds: float) -> None:
        """The xtables lock was waited for."""
        self._lock += seconds

    @contextmanager
    def kernel(self) -> Iterator[None]:
        """The kernel's part, or another piece of it."""
        started = monotonic()
        try:
            yield
        finally:
            self._kernel += monotonic() - started

    def read(self) -> TableTimes:
        """The times until now."""
        return TableTimes(monotonic() - self._started, self._lock, self._kernel)
