# SPDX-License-Identifier: Apache-2.0
"""Policy chains of Services with very many endpoints: first a group is chosen, then an endpoint.

In one list a new connection meets half of the endpoints' rules on average, each of which asks for a
random number. A group is chosen with the share that it has of the endpoints, so that the odds of
each are what they were. Which group an endpoint is in follows from its address and port alone: one
that comes or goes edits its own group, and the few odds of the groups before it.

Session affinity has no groups: the lists of all endpoints have to be asked for the client first,
and that takes longer than the choice.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from hashlib import sha256
from typing import Final

from rules import names
from rules.addresses import endpoint_text
from rules.ir import Rule, Rules
from rules.patterns import DirectChoice, DirectChoiceRules, ServicePortPattern, share_of

_MANY: Final = 128
"""Endpoints that a policy chain has at most without groups: with 64 rules on average, opening a
connection takes 5 % longer than with one, and each group makes the table larger."""
_MANY_IN_GROUP: Final = 64
"""Endpoints that a group has at most without groups of its own, unless it can have none."""
_LEAST_SIZE_BITS: Final = 4
"""Groups have 16 endpoints or more on average: each costs three entries of the table."""
_DIGIT_BITS: Final = 4
"""At most 16 groups in one chain."""
_MOST_DIGITS: Final = names.MOST_GROUP_DIGITS


def choice_chains(
    policy_chain: str,
    shared: ServicePortPattern,
    leading: tuple[Rule, ...],
    endpoints: tuple[DirectChoice, ...],
) -> Iterator[tuple[str, Rules]]:
    """The policy chain, which ``leading`` rules begin, and those of its groups, by their names."""
    if len(endpoints) <= _MANY:
        yield policy_chain, DirectChoiceRules(shared, leading, endpoints)
    else:
        yield from _Groups(policy_chain, shared).chains(leading, endpoints, "")


class _Groups:
    """The groups of one policy chain."""

    def __init__(self, policy_chain: str, shared: ServicePortPattern) -> None:
        self._policy_chain = policy_chain
        self._shared = shared

    def chains(
        self, leading: tuple[Rule, ...], endpoints: Sequence[DirectChoice], path: str
    ) -> Iterator[tuple[str, Rules]]:
        """The chain of the group ``path``, and those of the groups that it consists of."""
        name = names.group_chain(self._policy_chain, path) if path else self._policy_chain
        if len(endpoints) <= _MANY_IN_GROUP or len(path) == _MOST_DIGITS:
            yield name, DirectChoiceRules(self._shared, leading, tuple(endpoints))
            return
        rules = list(leading)
        remaining = len(endpoints)
        for digit, group in _divided(endpoints, len(path)):
            odds = share_of(len(group), remaining)
            remaining -= len(group)
            rules.append(Rule(names.group_chain(self._policy_chain, path + digit), odds))
            yield from self.chains((), group, path + digit)
        yield name, tuple(rules)


def _divided(
    endpoints: Sequence[DirectChoice], level: int
) -> Iterator[tuple[str, Sequence[DirectChoice]]]:
    """Groups of ``endpoints``, each with the digit that it is known by at this level."""
    bits = min(_DIGIT_BITS, (len(endpoints) - 1).bit_length() - 1 - _LEAST_SIZE_BITS)
    groups: defaultdict[int, list[DirectChoice]] = defaultdict(list)
    for endpoint in endpoints:
        (_, address, port) = endpoint
        digest = sha256(endpoint_text(address, port).encode()).digest()
        groups[digest[level] >> 8 - bits].append(endpoint)
    for digit in sorted(groups):
        yield f"{digit:X}", groups[digit]
