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
from functools import cache, lru_cache
from typing import Final, Generic, TypeVar

from rules import names
from rules.addresses import host_network
from rules.affinity import AffinityBackend
from rules.ir import (
    AddToSet,
    Comment,
    Dnat,
    Match,
    PatternRules,
    PortMatch,
    Recent,
    Rule,
    SetMatch,
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
    is_compact: bool = False
    """Without what the kernel can do without: comments, and matches of what is known already."""
    affinity_backend: AffinityBackend = AffinityBackend.RECENT

    def comments(self, suffix: str = "") -> tuple[Comment, ...]:
        """The comment of a rule, if it has one: the service port name and ``suffix``."""
        return () if self.is_compact else (Comment(self.name + suffix),)

    @property
    def uses_sets(self) -> bool:
        """Whether clients are remembered, in sets."""
        is_sticky = self.affinity_seconds is not None
        return is_sticky and self.affinity_backend is AffinityBackend.IPSET


class EndpointRules(PatternRules):
    """A KUBE-SEP chain: masquerade hairpin traffic, remember the client, translate."""

    __slots__ = ("address", "chain", "port", "shared")

    def __init__(self, shared: ServicePortPattern, chain: str, address: str, port: int) -> None:
        """The rules of the endpoint ``address`` and ``port``, whose chain is ``chain``."""
        self.shared = shared
        self.chain = chain
        self.address = address
        self.port = port

    def rules(self) -> tuple[Rule, ...]:
        """See :class:`rules.ir.PatternRules`."""
        shared = self.shared
        comments = shared.comments()
        seconds = shared.affinity_seconds
        remember = () if seconds is None or shared.uses_sets else (Recent(self.chain),)
        protocol = () if shared.is_compact else (PortMatch(shared.protocol),)
        hairpin = Rule(names.MARK_MASQ, comments, source=host_network(self.address))
        translate = Rule(
            Dnat(self.address, self.port), (*comments, *remember, *protocol), shared.protocol
        )
        if seconds is None or not shared.uses_sets:
            return hairpin, translate
        # A rule of its own: a target remembers, where the other backend has a match do it.
        return hairpin, Rule(AddToSet(names.client_set(self.chain), seconds), comments), translate

    def jump_targets(self) -> tuple[str]:
        """See :class:`rules.ir.PatternRules`."""
        return (names.MARK_MASQ,)

    def __len__(self) -> int:
        return 3 if self.shared.uses_sets else 2

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


DirectChoice = tuple[str, str, int]
"""An endpoint as a chain or "", an address and a port."""

Choice = TypeVar("Choice", bound=tuple[object, ...])


class _PolicyRules(PatternRules, Generic[Choice]):
    """A policy chain: masquerade what needs it, then choose an endpoint."""

    __slots__ = ("endpoints", "leading", "shared")

    def __init__(
        self, shared: ServicePortPattern, leading: tuple[Rule, ...], endpoints: tuple[Choice, ...]
    ) -> None:
        """``leading`` rules come first, then what leads to each of ``endpoints``."""
        self.shared = shared
        self.leading = leading
        self.endpoints = endpoints

    def with_odds(self) -> Iterator[tuple[Choice, tuple[Statistic, ...]]]:
        """Each endpoint, with what a rule must match with so that all have equal odds."""
        return zip(self.endpoints, odds_of(len(self.endpoints)), strict=True)

    def leading_targets(self) -> list[str]:
        """The chains that the leading rules jump to."""
        return [str(rule.target) for rule in self.leading]

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return (self.endpoints, self.leading, self.shared) == (
            other.endpoints,
            other.leading,
            other.shared,
        )

    def __hash__(self) -> int:
        return hash((self.endpoints, self.leading))


class ChoiceRules(_PolicyRules[tuple[str, str]]):
    """A policy chain that leads to the endpoints' own, pairs of a chain and an ``ip:port``.

    With affinity a client goes to the endpoint that it had, else to one at random with equal
    odds.
    """

    __slots__ = ()

    def rules(self) -> Iterator[Rule]:
        """See :class:`rules.ir.PatternRules`."""
        yield from self.leading
        seconds = self.shared.affinity_seconds
        if seconds is not None:
            for chain, text in self.endpoints:
                yield Rule(chain, (*self._comments(text), self._lookup(chain, seconds)))
        for (chain, text), odds in self.with_odds():
            yield Rule(chain, (*self._comments(text), *odds))

    def _lookup(self, chain: str, seconds: int) -> Match:
        """What is true of the clients that the endpoint of ``chain`` had."""
        if self.shared.uses_sets:
            return SetMatch(names.client_set(chain))
        return Recent(chain, seconds)

    def _comments(self, text: str) -> tuple[Comment, ...]:
        return self.shared.comments(f" -> {text}")

    def jump_targets(self) -> list[str]:
        """See :class:`rules.ir.PatternRules`."""
        return [*self.leading_targets(), *(chain for chain, _ in self.endpoints)]

    def __len__(self) -> int:
        times = 1 if self.shared.affinity_seconds is None else 2
        return len(self.leading) + times * len(self.endpoints)


class DirectChoiceRules(_PolicyRules[DirectChoice]):
    """A policy chain of a large cluster: it translates by itself what needs no endpoint chain.

    An endpoint without a chain costs one entry of the table then, instead of five.
    """

    __slots__ = ()

    def rules(self) -> Iterator[Rule]:
        """See :class:`rules.ir.PatternRules`."""
        yield from self.leading
        protocol = self.shared.protocol
        for (chain, address, port), odds in self.with_odds():
            yield Rule(chain, odds) if chain else Rule(Dnat(address, port), odds, protocol)

    def jump_targets(self) -> list[str]:
        """See :class:`rules.ir.PatternRules`."""
        return [*self.leading_targets(), *(chain for chain, _, _ in self.endpoints if chain)]

    def __len__(self) -> int:
        return len(self.leading) + len(self.endpoints)


@lru_cache(maxsize=1 << 5)
def odds_of(count: int) -> tuple[tuple[Statistic, ...], ...]:
    """For each of ``count`` endpoints what its rule must match with; nothing for the last."""
    return tuple([share_of(1, remaining) for remaining in range(count, 0, -1)])


@cache
def share_of(part: int, whole: int) -> tuple[Statistic, ...]:
    """What to match with odds of ``part`` to ``whole``; nothing if they are the same.

    Odds are rounded as kube-proxy prints them, then as iptables scales them. Source: iptables
    ``libxt_statistic.c``, which stores ``lround(2**31 * probability)``.
    """
    if part == whole:
        return ()
    probability = round(part / whole, _PROBABILITY_DIGITS)
    return (Statistic(int(probability * _FRACTION_ONE + 0.5)),)
