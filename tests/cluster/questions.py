# SPDX-License-Identifier: Apache-2.0
"""Asking services again and again, while something happens to the rules that serve them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from threading import Event, Thread
from typing import Final

from lab import Answered, Host, Outcome, Target, probe, wait_until

_ENOUGH: Final = 30
# Without a pause, the questions would take the processor from the programs that they are about.
_PAUSE_SECONDS: Final = 0.005


class Questioner:
    """Asks one service in a thread of its own, each time through a new connection."""

    def __init__(
        self, target: Target, ask: Callable[[], Outcome], pause_seconds: float = _PAUSE_SECONDS
    ) -> None:
        """Ask ``target`` by calling ``ask``, with a pause after each question."""
        self._pause_seconds = pause_seconds
        self._ask_once = ask
        self.target = target
        self._stopped = Event()
        self._thread = Thread(target=self._ask, name=f"questions to {target}", daemon=True)
        self.outcomes: list[Outcome] = []

    @property
    def failures(self) -> list[Outcome]:
        """What was not answered so far."""
        return [one for one in self.outcomes if not isinstance(one, Answered)]

    def start(self) -> None:
        """Begin to ask."""
        self._thread.start()

    def wait_for_more(self) -> None:
        """Wait until it has asked some more questions."""
        asked = len(self.outcomes)
        wait_until("more questions are answered", lambda: len(self.outcomes) >= asked + _ENOUGH)

    def stop(self) -> None:
        """End with the question in hand."""
        self._stopped.set()
        self._thread.join()

    def _ask(self) -> None:
        while not self._stopped.wait(self._pause_seconds):
            self.outcomes.append(self._ask_once())


@contextmanager
def questions(
    host: Host, targets: Sequence[Target], pause_seconds: float = _PAUSE_SECONDS
) -> Iterator[list[Questioner]]:
    """Ask all ``targets`` at once: before the block, all through it and after it."""
    questioners = [
        Questioner(target, partial(probe, host, target), pause_seconds) for target in targets
    ]
    for one in questioners:
        one.start()
    try:
        for one in questioners:
            one.wait_for_more()
        yield questioners
        for one in questioners:
            one.wait_for_more()
    finally:
        for one in questioners:
            one.stop()
