# SPDX-License-Identifier: Apache-2.0
"""Somewhere else, such as a pod: what can be asked from there."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from kind.asker import Asker
from kind.errors import AskerEndedError
from kind.wire import Question
from lab import CommandFailedError, Outcome, Target
from lab.commands import run

_PROGRAM: Final = ("python3", "-m", "kind.inside")


class Remote:
    """A place to ask from, with as many programs there as there are questions at a time."""

    def __init__(self, into: Sequence[str]) -> None:
        """``into`` is what runs a command there, such as ``kubectl exec -i POD --``."""
        self._into = tuple(into)
        self._idle: deque[Asker] = deque()

    def converse(
        self, target: Target, *, source: str | None = None, source_port: int = 0, mark: int = 0
    ) -> RemoteConversation:
        """Begin to ask a server from there; nothing is sent yet."""
        try:
            asker = self._idle.pop()
        except IndexError:
            asker = Asker([*self._into, *_PROGRAM, "ask"])
        question = Question(
            conversation=asker.new_conversation(),
            target=target,
            source=source,
            source_port=source_port,
            mark=mark,
        )
        return RemoteConversation(asker, question, self._idle.append)

    def fetch(self, url: str, timeout_seconds: float) -> tuple[int, str]:
        """Status and body that HTTP has for a URL; raises ``OSError`` if nobody answers."""
        try:
            done = run([*self._into, *_PROGRAM, "fetch", url, f"{timeout_seconds:g}"])
        except CommandFailedError as error:
            raise OSError(str(error)) from error
        status, _, body = done.stdout.partition("\n")
        return int(status), body

    def close(self) -> None:
        """End all programs that nobody uses."""
        while self._idle:
            self._idle.pop().close()


class RemoteConversation:
    """Asks the same server as often as it is told to, through one connection."""

    def __init__(
        self, asker: Asker, question: Question, give_back: Callable[[Asker], None]
    ) -> None:
        """Let ``asker`` ask ``question``, and give it back at the end."""
        self._asker = asker
        self._question = question
        self._give_back = give_back
        self._is_open = False

    def ask(self, timeout_seconds: float = 2.0) -> Outcome:
        """Ask once; raises ``AskerEndedError`` if there is nobody there any more."""
        self._is_open = True
        return self._asker.ask(replace(self._question, timeout_seconds=timeout_seconds))

    def close(self) -> None:
        """Close the connection."""
        try:
            if self._is_open:
                self._asker.leave(self._question.conversation)
        except AskerEndedError:
            self._asker.close()
        else:
            self._give_back(self._asker)
