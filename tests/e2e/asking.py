# SPDX-License-Identifier: Apache-2.0
"""The questions of a step, and whether what became of them is as expected."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Final

import msgspec

from lab import Answered, Outcome, Protocol, Target
from lab.plan import CLIENT, OTHER_CLIENT
from rules.ir import Family
from tests.e2e.backend import Origin
from tests.e2e.errors import UnknownNameError
from tests.e2e.judging import complaint, is_hopeless, questions_needed
from tests.e2e.plan import of
from tests.e2e.question import ANSWER_SECONDS, Question
from tests.e2e.schema import Asking, Expectation, as_tuple
from tests.e2e.stage import Stage

_CLIENTS: Final = {"client": CLIENT, "other-client": OTHER_CLIENT}
_REFUSAL_SECONDS: Final = 2.0
"""The kernel may believe a refusal of TCP over IPv6 only after it has asked a second time."""
_DROP_SECONDS: Final = {Family.IPV4: 0.4, Family.IPV6: 1.5}


def questions_of(step: Asking, stage: Stage) -> list[Question]:
    """All questions of a step: everybody asks everything, in each family."""
    return [
        _question(step, stage, origin, to, family)
        for family in step.families
        for origin in as_tuple(step.source)
        for to in as_tuple(step.to)
    ]


def round_of(
    question: Question, expect: Expectation, count: int | None, source_port: int | None
) -> Iterator[Outcome]:
    """Ask as often as needed, but no further than to the first outcome that is wrong."""
    for _ in range(count or questions_needed(expect)):
        outcome = question.ask(_patience(expect, question.family), source_port)
        yield outcome
        if is_hopeless(expect, outcome):
            return


def judged(
    questions: Sequence[Question], outcomes: Iterable[Outcome], expect: Expectation, stage: Stage
) -> str:
    """What is wrong with the outcomes of all these questions taken together, or nothing."""
    first, *more = questions
    source = stage.resolved(expect.source, first.family)
    wrong = complaint(
        msgspec.structs.replace(expect, source=source),
        [_with_pod_name(one, stage) for one in outcomes],
        asker=first.own,
        masqueraded=frozenset[str]().union(
            *(node.sources(first.family) for node in stage.cluster.nodes.values())
        ),
    )
    beside = f" and {len(more)} more" if more else ""
    return f"{first}{beside}: {wrong}" if wrong else ""


def _with_pod_name(outcome: Outcome, stage: Stage) -> Outcome:
    if isinstance(outcome, Answered):
        return replace(outcome, by=stage.pods.called(outcome.by))
    return outcome


def _patience(expect: Expectation, family: Family) -> float:
    match expect.result:
        case "dropped" | "unanswered":
            return _DROP_SECONDS[family]
        case "refused":
            return _REFUSAL_SECONDS
        case _:
            return ANSWER_SECONDS


def _question(step: Asking, stage: Stage, origin: str, to: str, family: Family) -> Question:
    host, source, own = _origin(stage, origin, family)
    address, _, port = stage.resolved(to, family).rpartition(":")
    bare = address.removeprefix("[").removesuffix("]")
    target = Target(bare, int(port), Protocol[step.protocol])
    is_led = origin in _CLIENTS and step.via
    mark = stage.cluster.nodes[stage.node(step.via)].number if is_led else 0
    return Question(origin, host, source, own, mark, family, target)


def _origin(stage: Stage, origin: str, family: Family) -> tuple[Origin, str | None, frozenset[str]]:
    kind, _, name = origin.partition("/")
    if kind in _CLIENTS:
        source = of(family, _CLIENTS[kind])
        return stage.cluster.client, source, frozenset({source})
    if kind == "pod":
        pod = stage.pods[name]
        return pod.host, None, frozenset({of(family, pod.address)})
    if kind == "node":
        node = stage.cluster.nodes[stage.node(name)]
        return node.machine, None, node.sources(family)
    raise UnknownNameError(
        f"nobody is called {origin!r}: there are client, other-client, node/, pod/"
    )
