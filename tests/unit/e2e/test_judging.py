# SPDX-License-Identifier: Apache-2.0
"""Whether outcomes are what a scenario expects."""

from __future__ import annotations

from typing import Final

import pytest

from lab import Answered, Outcome, Refused, TimedOut, Unreachable
from tests.e2e.judging import complaint, is_hopeless, questions_needed
from tests.e2e.schema import Expectation

_ASKER: Final = "203.0.113.10"
_NODE: Final = "192.0.2.11"


def _answers(**counts: int) -> list[Outcome]:
    return [Answered(name, _ASKER, 1) for name, count in counts.items() for _ in range(count)]


def _complaint(expect: Expectation, outcomes: list[Outcome]) -> str:
    return complaint(expect, outcomes, asker={_ASKER}, masqueraded={_NODE})


@pytest.mark.parametrize(
    ("expect", "outcomes"),
    [
        (Expectation(pods=("a", "b")), _answers(a=1, b=9)),
        (Expectation(pods=("a", "b"), even=True), _answers(a=20, b=60)),
        (Expectation(within=("a", "b")), _answers(b=3)),
        (Expectation(within=("a", "b"), same=True), _answers(b=3)),
        (Expectation(pods=("a",), source="kept"), _answers(a=1)),
        (Expectation(pods=("a",), source=_ASKER), _answers(a=1)),
        (Expectation(pods=("a",), source="masqueraded"), [Answered("a", _NODE, 1)]),
        (Expectation(result="refused"), [Refused()]),
        (Expectation(result="dropped"), [TimedOut()]),
        (Expectation(result="unreachable"), [Unreachable("no route")]),
        (Expectation(result="unanswered"), [Refused(), TimedOut()]),
    ],
)
def test_what_is_as_expected(expect: Expectation, outcomes: list[Outcome]) -> None:
    """There is nothing to complain about."""
    assert _complaint(expect, outcomes) == ""


@pytest.mark.parametrize(
    ("expect", "outcomes", "words"),
    [
        (Expectation(pods=("a", "b")), _answers(a=9), "by all of a, b, got a (9)"),
        (Expectation(pods=("a",)), _answers(a=1, b=1), "got a (1), b (1)"),
        (Expectation(pods=("a",)), [*_answers(a=1), TimedOut()], "got TimedOut()"),
        (Expectation(pods=("a", "b"), even=True), _answers(a=10, b=70), "equally many"),
        (Expectation(within=("a", "b")), _answers(b=1, c=1), "some of a, b, got b (1), c (1)"),
        (Expectation(within=("a", "b"), same=True), _answers(a=1, b=1), "the same pod"),
        (Expectation(pods=("a",), source="masqueraded"), _answers(a=1), f"a saw {_ASKER}"),
        (Expectation(pods=("a",), source="kept"), [Answered("a", _NODE, 1)], f"a saw {_NODE}"),
        (Expectation(result="refused"), [TimedOut()], "expected refused, got TimedOut()"),
        (Expectation(result="dropped"), [Refused()], "expected dropped, got Refused()"),
        (Expectation(result="unanswered"), _answers(a=1), "expected unanswered, got Answered"),
    ],
)
def test_what_is_not_as_expected(expect: Expectation, outcomes: list[Outcome], words: str) -> None:
    """The complaint says what should be and what is."""
    assert words in _complaint(expect, outcomes)


def test_one_wrong_outcome_is_enough() -> None:
    """An answer is as wrong where none is expected as none where one is."""
    assert is_hopeless(Expectation(result="dropped"), _answers(a=1)[0])
    assert is_hopeless(Expectation(pods=("a",)), TimedOut())
    assert not is_hopeless(Expectation(pods=("a",)), _answers(b=1)[0])


def test_more_pods_need_more_questions() -> None:
    """Nobody stays out by chance."""
    two, three = (Expectation(pods=("a", "b", "c")[:count]) for count in (2, 3))
    assert 1 < questions_needed(two) < questions_needed(three)
    assert questions_needed(Expectation(result="dropped")) == 1
