# SPDX-License-Identifier: Apache-2.0
"""One built-in chain of one table, with all chains that it leads to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from rules.ir import (
    ACCEPT,
    DROP,
    RETURN,
    AddToSet,
    Dnat,
    Masquerade,
    Reject,
    SetMark,
    TableName,
)
from rules.trace.matching import Matcher
from rules.trace.packet import Branch, Step
from rules.trace.rule_set import ForeignRule, RuleSet, TracedRule

REJECT: Final = "REJECT"
"""Besides ACCEPT and DROP, what may become of a packet in a chain."""


class End(NamedTuple):
    """How a built-in chain ends for a packet."""

    branch: Branch
    verdict: str
    """ACCEPT, DROP or REJECT."""
    by_policy: bool = False
    """Whether no rule decided, but the chain's policy."""


class _Frame(NamedTuple):
    """A chain that a packet is in, and how many of its rules are behind it."""

    chain: str
    position: int


_Frames = tuple[_Frame, ...]


class Walk:
    """The way through one built-in chain."""

    def __init__(
        self, rules: RuleSet, table: TableName, hook: str, local_networks: tuple[str, ...]
    ) -> None:
        """``hook`` is the built-in chain's name; for the networks see the matcher."""
        self._chains = rules[table]
        self._table = table
        self._hook = hook
        self._local_networks = local_networks

    def ends(self, branch: Branch) -> Iterator[End]:
        """All ends that the chain may have for ``branch``, in the order of its rules.

        Raises:
            TraceError: what one of them is cannot be told.
        """
        matcher = Matcher(branch.packet.family, self._hook, self._local_networks)
        pending: list[tuple[Branch, _Frames]] = [(branch, (_Frame(self._hook, 0),))]
        while pending:
            branch, frames = pending.pop()
            if not frames:
                yield End(branch, self._chains[self._hook].policy, by_policy=True)
                continue
            (*callers, (chain, position)) = frames
            rules = self._chains[chain].rules
            if position == len(rules):
                pending.append((branch, tuple(callers)))
                continue
            step = Step(self._table, chain, position + 1, rules[position])
            following = (*callers, _Frame(chain, position + 1))
            for is_met, outcome in matcher.outcomes(step, branch):
                if not is_met:
                    pending.append((outcome, following))
                    continue
                result = _effect(step.rule, outcome.met(step), following)
                if isinstance(result, End):
                    yield result
                else:
                    pending.append(result)


def _effect(  # noqa: C901, PLR0911 - one case for each kind
    rule: TracedRule, branch: Branch, following: _Frames
) -> End | tuple[Branch, _Frames]:
    """What a rule does to a packet that meets it: an end, or where it goes on."""
    if isinstance(rule, ForeignRule):
        if rule.goes_on:
            return branch, following
        rule = rule.known
    match rule.target:
        case str(verdict) if verdict in (ACCEPT, DROP):
            return End(branch, verdict)
        case str(verdict) if verdict == RETURN:
            return branch, following[:-1]
        case str(chain):
            return branch, (*following, _Frame(chain, 0))
        case SetMark(value, mask):
            return branch.marked(branch.packet.mark & ~mask ^ value), following
        case Dnat() as target:
            return End(branch.translated(target), ACCEPT)
        case Masquerade():
            return End(branch.masqueraded(), ACCEPT)
        case Reject():
            return End(branch, REJECT)
        case AddToSet():
            return branch, following
