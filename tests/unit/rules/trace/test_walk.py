# SPDX-License-Identifier: Apache-2.0
"""One built-in chain: jumps, returns, verdicts, marks and chance."""

from __future__ import annotations

from fractions import Fraction

import pytest

from rules.ir import (
    ACCEPT,
    DROP,
    RETURN,
    AddToSet,
    MarkMatch,
    Masquerade,
    Recent,
    Reject,
    Rule,
    SetMark,
    SetMatch,
    Statistic,
)
from rules.trace.packet import Assumption
from rules.trace.rule_set import ForeignRule, TracedRule
from rules.trace.tracer import Fate, Path
from tests.unit.rules.trace.support import follow, rule_set

_ONE_HALF = Statistic(1 << 30)
_CERTAIN = Fraction(1)
_MARKED = MarkMatch(1, 1)


def _forwarding(*rules: TracedRule, policy: str = ACCEPT, **chains: tuple[Rule, ...]) -> list[Path]:
    """The ways through a FORWARD chain with ``rules``."""
    return list(
        follow(rule_set(filters={"FORWARD": rules, **chains}, policies={"FORWARD": policy}))
    )


def _met(path: Path) -> list[str]:
    return [f"{step.chain} {step.number}" for step in path.steps]


@pytest.mark.parametrize(
    ("target", "fate"), [(ACCEPT, Fate.SENT), (DROP, Fate.DROPPED), (Reject(), Fate.REJECTED)]
)
def test_a_verdict_ends_the_chain(target: str | Reject, fate: Fate) -> None:
    """No rule after a verdict is met."""
    (path,) = _forwarding(Rule(target), Rule(DROP))

    assert (_met(path), path.outcome.fate) == (["FORWARD 1"], fate)


@pytest.mark.parametrize("policy", [ACCEPT, DROP])
def test_the_policy_judges_who_comes_to_the_end(policy: str) -> None:
    """Without a verdict, and after a return from the built-in chain, the policy is in force."""
    for rules in ((), (Rule(RETURN), Rule(Reject()))):
        (path,) = _forwarding(*rules, policy=policy)

        assert path.outcome.fate is (Fate.SENT if policy == ACCEPT else Fate.DROPPED)


def test_a_return_leads_behind_the_jump() -> None:
    """After a return, and at the end of a chain, its caller goes on."""
    (path,) = _forwarding(
        Rule("A"),
        Rule(DROP),
        A=(Rule("B"), Rule("EMPTY"), Rule(RETURN), Rule(ACCEPT)),
        B=(Rule(RETURN),),
        EMPTY=(),
    )

    assert _met(path) == ["FORWARD 1", "A 1", "B 1", "A 2", "A 3", "FORWARD 2"]


def test_rules_that_are_not_met_are_passed_by() -> None:
    """Only what a packet meets is among its steps, under its number in the chain."""
    (path,) = _forwarding(Rule(DROP, protocol="udp"), Rule(ACCEPT))

    assert _met(path) == ["FORWARD 2"]


@pytest.mark.parametrize(
    ("change", "match", "is_met"),
    [
        (SetMark(1, 1), _MARKED, True),
        (SetMark(2, 2), _MARKED, False),
        (SetMark(0, 4), MarkMatch(8, 12), True),
        (SetMark(5, 0), MarkMatch(9, 0xFFFFFFFF), True),
        (SetMark(1, 0xFFFFFFFF), MarkMatch(1, 0xFFFFFFFF), True),
        (SetMark(1, 1), MarkMatch(1, 1, negated=True), False),
    ],
)
def test_marks_are_changed_as_the_kernel_does(
    change: SetMark, match: MarkMatch, *, is_met: bool
) -> None:
    """The mask's bits are cleared, then the value is flipped in; the packet came with mark 12."""
    rules = rule_set(filters={"FORWARD": (Rule(change), Rule(DROP, (match,)))})
    (path,) = follow(rules, mark=12)

    assert (path.outcome.fate is Fate.DROPPED) is is_met


def test_chance_parts_the_way_with_exact_odds() -> None:
    """What a rule leaves over is for the rules behind it; together it is all."""
    third = Statistic(715827883)
    paths = _forwarding(Rule(DROP, (third,)), Rule(Reject(), (_ONE_HALF,)))

    share = Fraction(715827883, 1 << 31)
    assert [(path.outcome.fate, path.odds) for path in paths] == [
        (Fate.DROPPED, share),
        (Fate.REJECTED, (1 - share) / 2),
        (Fate.SENT, (1 - share) / 2),
    ]


@pytest.mark.parametrize(("fraction", "fate"), [(0, Fate.SENT), (1 << 31, Fate.DROPPED)])
def test_never_and_always_part_nothing(fraction: int, fate: Fate) -> None:
    """A rule that chance cannot change leaves one way."""
    (path,) = _forwarding(Rule(DROP, (Statistic(fraction),)))

    assert (path.odds, path.outcome.fate) == (Fraction(1), fate)


def test_chance_in_a_chain_goes_on_in_its_caller() -> None:
    """Both ways out of a chain come back to the rule behind the jump."""
    paths = _forwarding(
        Rule("A"),
        Rule(DROP, (_MARKED,)),
        A=(Rule(SetMark(1, 1), (_ONE_HALF,)), Rule(RETURN)),
    )

    assert [(path.outcome.fate, path.odds) for path in paths] == [
        (Fate.DROPPED, Fraction(1, 2)),
        (Fate.SENT, Fraction(1, 2)),
    ]


@pytest.mark.parametrize("known", [Recent("LIST", 60), SetMatch("LIST")])
def test_memory_has_no_odds_but_is_named(known: Recent | SetMatch) -> None:
    """Whether a list or set holds the client is assumed both ways, once for each of them."""
    paths = _forwarding(Rule("A", (known,)), Rule(Reject()), A=(Rule(DROP, (known,)),))

    assert [(path.outcome.fate, path.odds, path.assumptions) for path in paths] == [
        (Fate.DROPPED, _CERTAIN, (Assumption("LIST", is_remembered=True),)),
        (Fate.REJECTED, _CERTAIN, (Assumption("LIST", is_remembered=False),)),
    ]


@pytest.mark.parametrize(
    "rules", [(Rule(DROP, (Recent("LIST"),)),), (Rule(AddToSet("LIST", 60)), Rule(DROP))]
)
def test_remembering_is_no_condition(rules: tuple[Rule, ...]) -> None:
    """A rule that writes to a list or a set is met by everybody, and ends nothing by itself."""
    (path,) = _forwarding(*rules)

    assert (path.outcome.fate, path.assumptions) == (Fate.DROPPED, ())
    assert len(path.steps) == len(rules)


def test_a_foreign_rule_without_effect_is_passed_through() -> None:
    """A rule that only counts or logs is met, and the next one as well."""
    logging = ForeignRule(Rule(""), target_text="-j LOG", goes_on=True)
    (path,) = _forwarding(logging, Rule(DROP))

    assert _met(path) == ["FORWARD 1", "FORWARD 2"]


def test_masquerading_ends_the_chain() -> None:
    """A masqueraded packet meets no further rule of POSTROUTING."""
    (path,) = follow(rule_set({"POSTROUTING": (Rule(Masquerade()), Rule(DROP))}))

    assert (path.outcome.fate, path.outcome.is_masqueraded) == (Fate.SENT, True)
