# SPDX-License-Identifier: Apache-2.0
"""Questions and outcomes as lines of JSON, between a test and a program in a pod."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any, Final

from lab import Answered, Outcome, Protocol, Refused, Target, TimedOut, Unreachable

_OUTCOMES: Final[dict[str, type[Outcome]]] = {
    one.__name__: one for one in (Answered, Refused, TimedOut, Unreachable)
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One question; the first of a conversation opens it."""

    conversation: int
    """By which later questions go on with it."""
    target: Target
    source: str | None = None
    source_port: int = 0
    mark: int = 0
    timeout_seconds: float = 2.0


@dataclass(frozen=True, slots=True)
class Farewell:
    """The end of a conversation; there is no answer to it."""

    conversation: int


def request_line(request: Question | Farewell) -> str:
    """A question or farewell as a line."""
    fields = asdict(request)
    if isinstance(request, Question):
        fields["target"]["protocol"] = request.target.protocol.name
    return json.dumps(fields) + "\n"


def read_request(line: str) -> Question | Farewell:
    """The question or farewell that a line is."""
    fields: dict[str, Any] = json.loads(line)
    if "target" not in fields:
        return Farewell(**fields)
    target = fields.pop("target")
    target["protocol"] = Protocol[target["protocol"]]
    return Question(target=Target(**target), **fields)


def outcome_line(outcome: Outcome) -> str:
    """An outcome as a line."""
    return json.dumps({"is": type(outcome).__name__, **asdict(outcome)}) + "\n"


def read_outcome(line: str) -> Outcome:
    """The outcome that a line is."""
    fields: dict[str, Any] = json.loads(line)
    return _OUTCOMES[fields.pop("is")](**fields)
