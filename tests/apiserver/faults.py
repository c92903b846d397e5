# SPDX-License-Identifier: Apache-2.0
"""What the fake API server is to do wrong."""

from __future__ import annotations

from dataclasses import dataclass, field
from threading import Condition


@dataclass(slots=True)
class Faults:
    """The switches; ``changed`` guards them and wakes the watches."""

    changed: Condition
    silent: bool = False
    """Watches stay open and say nothing."""
    pages_expire: bool = False
    """A page after the first is always gone."""
    watch_round: int = 0
    """Watches that began in an earlier round end."""
    injected: list[bytes] = field(default_factory=list)
    """Lines for all open watches."""
    failures: list[int] = field(default_factory=list)
    """HTTP codes for the next requests."""

    def close_watches(self) -> None:
        """End all open watches, as the server does when their time is over."""
        with self.changed:
            self.watch_round += 1
            self.changed.notify_all()

    def inject(self, line: bytes) -> None:
        """Send ``line`` in all open watches."""
        with self.changed:
            self.injected.append(line)
            self.changed.notify_all()

    def fail(self, code: int, times: int) -> None:
        """Answer the next requests with an HTTP code."""
        with self.changed:
            self.failures.extend([code] * times)

    def stall(self, *, silent: bool = True) -> None:
        """Let watches fall silent, or speak again."""
        with self.changed:
            self.silent = silent
            self.changed.notify_all()
