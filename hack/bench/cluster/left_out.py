# SPDX-License-Identifier: Apache-2.0
"""Peers that could not do what all must do: the others are measured all the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from bench.cluster.contenders import Contender
from bench.errors import BenchError


class LeftOut:
    """Who is not measured any further at one size, and why."""

    def __init__(self, progress: Callable[[str], None], put_back: Callable[[], None]) -> None:
        """Tell ``progress`` in full what went wrong, and call ``put_back`` for the others."""
        self._progress = progress
        self._put_back = put_back
        self._reasons: dict[Contender, str] = {}

    @property
    def reasons(self) -> Mapping[Contender, str]:
        """One line for each contender that was left out."""
        return dict(self._reasons)

    @contextmanager
    def on_failure(self, contender: Contender) -> Iterator[None]:
        """End the block quietly if the contender fails in it.

        Raises:
            BenchError: our own agent failed, whose results are what this is about.
        """
        try:
            yield
        except BenchError as error:
            if contender.is_ours:
                raise
            self._progress(f"left out from here on: {error}")
            self._reasons[contender] = str(error).partition("\n")[0]
            self._put_back()
