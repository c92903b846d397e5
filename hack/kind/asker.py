# SPDX-License-Identifier: Apache-2.0
"""Questions asked from somewhere else, by a program that runs there: see :mod:`kind.inside`."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from itertools import count
from typing import IO, Self, cast

from kind.errors import AskerEndedError
from kind.wire import Question, question_line, read_outcome
from lab import Outcome, Target

_STOP_SECONDS = 10.0


class Asker:
    """Somebody who asks in a pod, one question after another.

    A process for each question would cost more than the question.
    """

    def __init__(self, command: Sequence[str]) -> None:
        """Start ``command``, such as ``kubectl exec -i POD -- python3 -m kind.inside ask``."""
        self._command = tuple(command)
        self._numbers = count()
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        # They are None for processes without pipes only.
        self._questions = cast("IO[str]", self._process.stdin)
        self._outcomes = cast("IO[str]", self._process.stdout)

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the program."""
        self.close()

    def new_conversation(self) -> int:
        """A number for questions that go through the same connection."""
        return next(self._numbers)

    def probe(self, target: Target, *, source: str | None = None) -> Outcome:
        """Ask once, through a connection of its own."""
        return self.ask(
            Question(conversation=self.new_conversation(), target=target, source=source)
        )

    def ask(self, question: Question) -> Outcome:
        """Ask; raises ``AskerEndedError`` if the program has ended."""
        try:
            self._questions.write(question_line(question))
            self._questions.flush()
        except BrokenPipeError:
            line = ""
        else:
            line = self._outcomes.readline()
        if not line:
            raise AskerEndedError(
                f"{' '.join(self._command)}: ended before it answered, with exit code "
                f"{self._process.wait(_STOP_SECONDS)}; see above for what it said"
            )
        return read_outcome(line)

    def close(self) -> None:
        """End the program: its input ends."""
        self._process.communicate(timeout=_STOP_SECONDS)
