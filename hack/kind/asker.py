# SPDX-License-Identifier: Apache-2.0
"""A program that asks somewhere else what it is told to: see :mod:`kind.inside`."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from itertools import count
from typing import IO, Final, cast

from kind.errors import AskerEndedError
from kind.wire import Farewell, Question, read_outcome, request_line
from lab import Outcome

_STOP_SECONDS: Final = 10.0


class Asker:
    """Such a program, for one thread: it asks one question after another.

    A process for each question would cost more than the question.
    """

    def __init__(self, command: Sequence[str]) -> None:
        """Start ``command``, which reads requests and writes outcomes."""
        self._command = tuple(command)
        self._numbers = count()
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        # They are None for processes without pipes only.
        self._requests = cast("IO[str]", self._process.stdin)
        self._outcomes = cast("IO[str]", self._process.stdout)

    def new_conversation(self) -> int:
        """A number for questions that go through the same connection."""
        return next(self._numbers)

    def ask(self, question: Question) -> Outcome:
        """Ask; raises ``AskerEndedError`` if the program has ended."""
        self._send(question)
        line = self._outcomes.readline()
        if not line:
            raise self._ended()
        return read_outcome(line)

    def leave(self, conversation: int) -> None:
        """Close the connection of a conversation; raises as :meth:`ask`."""
        self._send(Farewell(conversation))

    def close(self) -> None:
        """End the program, whatever has become of it."""
        self._process.kill()
        self._process.communicate(timeout=_STOP_SECONDS)

    def _send(self, request: Question | Farewell) -> None:
        try:
            self._requests.write(request_line(request))
            self._requests.flush()
        except BrokenPipeError:
            raise self._ended() from None

    def _ended(self) -> AskerEndedError:
        code = self._process.wait(_STOP_SECONDS)
        return AskerEndedError(
            f"{' '.join(self._command)}: ended before it answered, with exit code {code}; "
            "what it said stands above"
        )
