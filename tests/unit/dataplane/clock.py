# SPDX-License-Identifier: Apache-2.0
"""A clock that a test moves."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

START: Final = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)


@dataclass
class Clock:
    """Both the monotonic and the wall clock."""

    seconds: float = 0.0

    def monotonic(self) -> float:
        """Seconds that passed."""
        return self.seconds

    def now(self) -> datetime:
        """The time of day."""
        return START + timedelta(seconds=self.seconds)

    def epoch(self) -> float:
        """The time of day as seconds since the epoch."""
        return self.now().timestamp()
