# SPDX-License-Identifier: Apache-2.0
"""A client that never rests: whatever is done to the agent, its questions must be answered."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from threading import Event, Thread
from typing import Final

from lab import Answered, Host, Outcome, Target, wait_until
from tests.kernel.traffic import at_once

_PAUSE_SECONDS: Final = 0.02


class ConnectLoop:
    """Asks ``targets`` in turn, each time through a new connection, on a thread of its own."""

    def __init__(self, host: Host, targets: Sequence[Target]) -> None:
        self.answered = 0
        self.failed: list[tuple[Target, Outcome]] = []
        self._host = host
        self._targets = targets
        self._stopped = Event()
        self._thread = Thread(target=self._run, name="connect loop")

    def start(self) -> None:
        """Begin to ask."""
        self._thread.start()

    def stop(self) -> None:
        """Return after the last outcome."""
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopped.wait(_PAUSE_SECONDS):
            for target in self._targets:
                outcome = at_once(self._host, target)
                if isinstance(outcome, Answered):
                    self.answered += 1
                else:
                    self.failed.append((target, outcome))


@contextmanager
def all_answered(host: Host, targets: Sequence[Target]) -> Iterator[None]:
    """Ask all through the block; fail if one question was not answered, the first ones included."""
    loop = ConnectLoop(host, targets)
    loop.start()
    try:
        yield
        # However short the block was: a round that began after its end.
        enough = loop.answered + 2 * len(targets)
        wait_until("the client was answered", lambda: bool(loop.failed) or loop.answered >= enough)
    finally:
        loop.stop()
    assert loop.failed == [], f"{len(loop.failed)} failures beside {loop.answered} answers"
