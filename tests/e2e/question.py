# SPDX-License-Identifier: Apache-2.0
"""One question: who asks whom."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import Final

from lab import Outcome, Target
from rules.ir import Family
from tests.e2e.backend import Conversing, Origin

ANSWER_SECONDS: Final = 2.0
"""How long to wait for an answer where one is expected, on a machine that is busy."""


@dataclass(frozen=True, slots=True)
class Question:
    """Who asks whom, in which way."""

    origin: str
    host: Origin
    source: str | None
    own: frozenset[str]
    """The addresses that the other side may see if nobody replaces them."""
    mark: int
    family: Family
    target: Target

    def __str__(self) -> str:
        address, port = self.target.address, self.target.port
        return f"{self.origin} to {address} port {port} ({self.target.protocol.name})"

    def ask(
        self, timeout_seconds: float = ANSWER_SECONDS, source_port: int | None = None
    ) -> Outcome:
        """Ask once, through a new connection."""
        with closing(self.open(source_port)) as conversation:
            return conversation.ask(timeout_seconds)

    def open(self, source_port: int | None = None) -> Conversing:
        """Begin a connection to ask through again and again."""
        return self.host.converse(
            self.target, source=self.source, source_port=source_port or 0, mark=self.mark
        )
