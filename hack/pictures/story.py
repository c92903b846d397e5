# SPDX-License-Identifier: Apache-2.0
"""What a picture shows: the built-in chains that a packet passes, and the chains that they lead to.

All ways that the packet may take are in one picture. A rule that it may meet has the odds of that;
rules that it never meets are there as well, but many in a row are only counted.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from itertools import groupby
from typing import Final, NamedTuple

from pictures.words import condition, effect
from rules.ir import BUILT_IN_CHAINS, Rule, TableName, is_jump
from rules.trace.rule_set import ForeignRule, RuleSet, TracedRule
from rules.trace.tracer import Path

_SHOWN_IN_A_ROW: Final = 2
"""Rules that are not met."""


class Line(NamedTuple):
    """A rule, or several that are only counted."""

    condition: str
    effect: str = ""
    odds: Fraction = Fraction(0)
    """Of meeting it."""


class Box(NamedTuple):
    """A chain."""

    name: str
    depth: int
    """How many chains lead to it from the built-in one."""
    lines: tuple[Line, ...]


class Stage(NamedTuple):
    """A built-in chain of a table, with all chains that the packet comes to from there."""

    title: str
    boxes: tuple[Box, ...]


class _Place(NamedTuple):
    stage: tuple[TableName, str]
    chain: str
    number: int


_Odds = dict[_Place, Fraction]


def stages(rules: RuleSet, paths: Sequence[Path]) -> tuple[Stage, ...]:
    """The stages of all ``paths`` through ``rules``, in the order in which the kernel has them."""
    odds = _odds(paths)
    passed = dict.fromkeys(place.stage for place in odds)
    return tuple(
        Stage(f"{table.value} {hook}", tuple(_boxes(rules, odds, (table, hook))))
        for table, hook in passed
    )


def _odds(paths: Iterable[Path]) -> _Odds:
    """The odds of each rule that any of ``paths`` meets."""
    odds: defaultdict[_Place, Fraction] = defaultdict(Fraction)
    for path in paths:
        stage = None
        for step in path.steps:
            if step.chain in BUILT_IN_CHAINS[step.table]:
                stage = (step.table, step.chain)
            if stage is not None:
                odds[_Place(stage, step.chain, step.number)] += path.odds
    return dict(odds)


def _boxes(rules: RuleSet, odds: _Odds, stage: tuple[TableName, str]) -> Iterator[Box]:
    """The chains of a stage, each where the first jump leads to it."""
    table, hook = stage
    drawn: set[str] = set()
    pending = [(hook, 0)]
    while pending:
        name, depth = pending.pop()
        if name in drawn:
            continue
        drawn.add(name)
        chain = rules[table][name].rules
        met = [odds.get(_Place(stage, name, number), Fraction(0)) for number in _numbers(chain)]
        yield Box(name, depth, tuple(_lines(chain, met)))
        targets = [_ours(rule).target for rule, share in zip(chain, met, strict=True) if share]
        jumps = [target for target in targets if isinstance(target, str) and is_jump(target)]
        pending += [(target, depth + 1) for target in reversed(jumps)]


def _numbers(chain: Sequence[TracedRule]) -> range:
    return range(1, len(chain) + 1)


def _lines(chain: Sequence[TracedRule], met: Sequence[Fraction]) -> Iterator[Line]:
    for is_met, group in groupby(zip(chain, met, strict=True), key=lambda pair: bool(pair[1])):
        pairs = list(group)
        if not is_met and len(pairs) > _SHOWN_IN_A_ROW:
            yield Line(f"{len(pairs)} rules that do not match")
            continue
        for rule, odds in pairs:
            yield Line(condition(_ours(rule)), effect(_ours(rule)), odds)


def _ours(rule: TracedRule) -> Rule:
    """A desired rule: pictures show no others."""
    return rule.known if isinstance(rule, ForeignRule) else rule
