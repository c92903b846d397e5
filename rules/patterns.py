# SPDX-License-Identifier: Apache-2.0
"""Rules of a chain that follow a pattern, held as what differs between them.

Nearly all rules of a large cluster stand in chains of two kinds: those that choose an endpoint and
those of one endpoint. Held as a pattern, such a chain takes a fraction of the memory and of the
time of its rules, which are made when somebody asks for them; and an encoder that knows the pattern
need not ask.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Final

from rules import names
from rules.addresses import host_network
from rules.ir import (
    Comment,
    Dnat,
    Match,
    PatternRules,
    PortMatch,
    Recent,
    Rule,
    Statistic,
)

_FRACTION_ONE: Final = 1 << 31
_PROBABILITY_DIGITS: Final = 10


@dataclass(frozen=True, slots=True)
class ServicePortPattern:
    """What the chains of one service port share."""

    name: str
    """The service port name."""
    protocol: str
    affinity_seconds: int | None
    """Time-out of session affinity; None without it."""


class EndpointRules(PatternRules):
    """A KUBE-SEP chain: masquerade hairpin traffic, remember the client, translate."""

    __slots__ = ("address", "chain", "port", "shared")

    def __init__(self, shared: ServicePortPattern, chain: str, address: str, port: int) -> None:
        """The rules of the endpoint ``address`` and ``port``, whose chain is ``chain``."""
        self.shared = shared
        self.chain = chain
        self.address = address
        self.port = port

    def rules(self) -> tuple[Rule, Rule]:
        """See :class:`rules.ir.PatternRules`."""
        shared = self.shared
        comment = Comment(shared.name)
        protocol_match = PortMatch(shared.protocol)
        matches: tuple[Match, ...] = (
            (comment, protocol_match)
            if shared.affinity_seconds is None
            else (comment, Recent(self.chain), protocol_match)
        )
        return (
            Rule(names.MARK_MASQ, (comment,), source=host_network(self.address)),
            Rule(Dnat(self.address, self.port), matches, shared.protocol),
        )

    def jump_targets(self) -> tuple[str]:
        """See :class:`rules.ir.PatternRules`."""
        return (names.MARK_MASQ,)

    def __len__(self) -> int:
        return 2

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, EndpointRules):
            return NotImplemented
        return (self.chain, self.address, self.port, self.shared) == (
            other.chain,
            other.address,
            other.port,
            other.shared,
        )

    def __hash__(self) -> int:
        return hash((self.chain, self.address, self.port))


class ChoiceRules(PatternRules):
    """A policy chain: masquerade what needs it, then choose an endpoint.

    With affinity a client goes to the endpoint that it had, else to one at random with equal
    odds.
    """

    __slots__ = ("endpoints", "leading", "shared")

    def __init__(
        self,
        shared: ServicePortPattern,
        leading: tuple[Rule, ...],
        endpoints: tuple[tuple[str, str], ...],
    ) -> None:
        """``leading`` rules come first; ``endpoints`` are pairs of a chain and an ``ip:port``."""
        self.shared = shared
        self.leading = leading
        self.endpoints = endpoints

    def rules(self) -> Iterator[Rule]:
        """See :class:`rules.ir.PatternRules`."""
        yield from self.leading
        seconds = self.shared.affinity_seconds
        if seconds is not None:
            for chain, text in self.endpoints:
                yield Rule(chain, (self.comment(text), Recent(chain, seconds)))
        for (chain, text), odds in zip(self.endpoints, odds_of(len(self.endpoints)), strict=True):
            comment = self.comment(text)
            yield Rule(chain, (comment,) if odds is None else (comment, odds))

    def comment(self, text: str) -> Comment:
        """The comment of the rules that lead to the endpoint ``text``."""
        return Comment(f"{self.shared.name} -> {text}")

    def jump_targets(self) -> list[str]:
        """See :class:`rules.ir.PatternRules`."""
        targets = [chain for chain, _ in self.endpoints]
        targets.extend(str(rule.target) for rule in self.leading)
        return targets

    def __len__(self) -> int:
        times = 1 if self.shared.affinity_seconds is None else 2
        return len(self.leading) + times * len(self.endpoints)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ChoiceRules):
            return NotImplemented
        return (self.endpoints, self.leading, self.shared) == (
            other.endpoints,
            other.leading,
            other.shared,
        )

    def __hash__(self) -> int:
        return hash((self.endpoints, self.leading))


def odds_of(count: int) -> Iterator[Statistic | None]:
    """For each of ``count`` endpoints the odds that its rule must match with; None for always."""
    for remaining in range(count, 1, -1):
        yield one_in(remaining)
    if count:
        yield None


@cache
def one_in(count: int) -> Statistic:
    """Odds of 1/``count``: rounded as kube-proxy prints them, then as iptables scales them.

    Source: iptables ``libxt_statistic.c``, which stores ``lround(2**31 * probability)``.
    """
    probability = round(1 / count, _PROBABILITY_DIGITS)
    return Statistic(int(probability * _FRACTION_ONE + 0.5))
