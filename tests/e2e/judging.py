# SPDX-License-Identifier: Apache-2.0
"""Whether what became of questions is what a scenario expects."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from typing import Final

from lab import Answered, Outcome, Refused, TimedOut, Unreachable
from tests.e2e.schema import Expectation

_RESULTS: Final[dict[str, tuple[type[Outcome], ...]]] = {
    "refused": (Refused,),
    "dropped": (TimedOut,),
    "unreachable": (Unreachable,),
    "unanswered": (Refused, TimedOut, Unreachable),
}
_TO_MEET_ALL: Final = 16
"""Questions for each pod: one that should be there, or should not, is missed once in 10^4 times."""
_TO_COUNT: Final = 40
"""Questions for each pod that shall have its share."""
_FOR_SAMENESS: Final = 12
_LEAST_PART_OF_SHARE: Final = 1 / 3
"""What a pod answers at least, of its equal share: less comes by chance once in 10^5 times."""


def questions_needed(expect: Expectation) -> int:
    """How many questions make sure that a wrong result shows."""
    if expect.result:
        return 1
    if expect.even:
        return _TO_COUNT * len(expect.pods)
    if expect.same:
        return _FOR_SAMENESS
    return _TO_MEET_ALL * len(expect.pods or expect.within)


def is_hopeless(expect: Expectation, outcome: Outcome) -> bool:
    """Whether this outcome alone is wrong, so that there is no need to ask on."""
    wanted = _RESULTS[expect.result] if expect.result else (Answered,)
    return not isinstance(outcome, wanted)


def complaint(
    expect: Expectation,
    outcomes: Sequence[Outcome],
    *,
    asker: Collection[str],
    masqueraded: Collection[str],
) -> str:
    """What is wrong, or nothing.

    Args:
        expect: what should be; an address in ``source`` is resolved.
        outcomes: what is; ``by`` names the pod.
        asker: the addresses of who asked.
        masqueraded: the addresses that nodes put in place of others.
    """
    wrong = [one for one in outcomes if is_hopeless(expect, one)]
    if wrong:
        wanted = expect.result or f"an answer by {_listed(expect.pods or expect.within)}"
        return f"expected {wanted}, got {wrong[0]} after {len(outcomes)} question(s)"
    answers = [one for one in outcomes if isinstance(one, Answered)]
    return _wrong_pods(expect, answers) or _wrong_source(expect, answers, asker, masqueraded)


def _wrong_pods(expect: Expectation, answers: Sequence[Answered]) -> str:
    by = Counter(one.by for one in answers)
    found = _listed(f"{name} ({count})" for name, count in by.items())
    if expect.pods and set(by) != set(expect.pods):
        return f"expected answers by all of {_listed(expect.pods)}, got {found}"
    if expect.within and not set(by) <= set(expect.within):
        return f"expected answers by some of {_listed(expect.within)}, got {found}"
    if expect.same and len(by) > 1:
        return f"expected the same pod each time, got {found}"
    if expect.even and min(by.values()) < _LEAST_PART_OF_SHARE * len(answers) / len(by):
        return f"expected about equally many answers by each pod, got {found}"
    return ""


def _wrong_source(
    expect: Expectation,
    answers: Sequence[Answered],
    asker: Collection[str],
    masqueraded: Collection[str],
) -> str:
    allowed = {"": None, "kept": asker, "masqueraded": masqueraded}.get(
        expect.source, (expect.source,)
    )
    wrong = [one for one in answers if allowed is not None and one.source not in allowed]
    if not wrong:
        return ""
    return f"expected the source to be {expect.source}, but {wrong[0].by} saw {wrong[0].source}"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))
