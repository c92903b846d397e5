# SPDX-License-Identifier: Apache-2.0
"""Durations as Go writes them: ``30s``, ``1m30s``, ``250ms``."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Final, Self

import durationpy

# The library also takes days and years, which Go does not know, and text between two parts.
_GO_DURATION: Final = re.compile(
    r"[-+]?(?:0|(?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+)", re.ASCII
)


class Duration(float):
    """A length of time in seconds that is text in documents."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: object) -> Self:
        """The duration that ``text`` means.

        Raises:
            ValueError: it is none.
        """
        try:
            if isinstance(text, str) and _GO_DURATION.fullmatch(text):
                return cls(durationpy.from_str(text).total_seconds())
        except durationpy.DurationError:
            pass
        raise ValueError(f"{text!r} is not a duration such as 30s or 1m30s")

    def __str__(self) -> str:
        return durationpy.to_str(timedelta(seconds=self)) if self else "0s"
