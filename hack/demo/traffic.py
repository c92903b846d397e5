# SPDX-License-Identifier: Apache-2.0
"""Connections to the Service, and what came of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import assert_never

from lab import Answered, Host, Outcome, Refused, Target, TimedOut, Unreachable, probe_times


@dataclass(frozen=True, slots=True)
class Traffic:
    """What became of some connections from one machine to one address."""

    outcomes: tuple[Outcome, ...]

    @property
    def answers(self) -> tuple[Answered, ...]:
        """Those that a pod answered."""
        return tuple(outcome for outcome in self.outcomes if isinstance(outcome, Answered))

    @property
    def pods(self) -> str:
        """How many each pod answered, or what happened instead."""
        return _counted(
            outcome.by if isinstance(outcome, Answered) else in_words(outcome)
            for outcome in self.outcomes
        )

    @property
    def sources(self) -> str:
        """Which source addresses the pods saw, and how often."""
        return _counted(answer.source for answer in self.answers)

    @property
    def all_answered(self) -> bool:
        """Whether no connection failed."""
        return len(self.answers) == len(self.outcomes)


def connect(host: Host, target: Target, count: int) -> Traffic:
    """Connect ``count`` times, one after the other."""
    return Traffic(probe_times(count, host, target))


def in_words(outcome: Outcome) -> str:
    """Say what became of one connection."""
    match outcome:
        case Answered(by=pod, source=source):
            return f"answered by {pod}, who saw {source}"
        case TimedOut():
            return "no answer: dropped on the way"
        case Refused():
            return "refused"
        case Unreachable(reason=reason):
            return reason
        case _:
            assert_never(outcome)


def _counted(texts: Iterable[str]) -> str:
    return ", ".join(f"{text}: {count}" for text, count in sorted(Counter(texts).items()))
