# SPDX-License-Identifier: Apache-2.0
"""Chains as the kernel's entries; chains that follow a pattern without making their rules.

What a pattern's rules have in common is encoded once for each service port, by the encoder of
single rules; of each entry only what differs is filled in. The result is the same to the byte.
"""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct

from dataplane.kernel.encode import (
    COMMENT_HEADER,
    DNAT_RANGE,
    Encoder,
    packed_address,
    statistic_extension,
)
from dataplane.kernel.layout import ENTRY_LAYOUTS, STANDARD_TARGET_SIZE
from rules import names
from rules.addresses import host_network
from rules.ir import Comment, Dnat, Family, PortMatch, Rule, Rules, Statistic
from rules.patterns import ChoiceRules, EndpointRules, ServicePortPattern
from rules.text import kept_comment

_LAST_CHOICE_END = Struct("=256sH29sBi4x")
"""Comment, then the jump: its size, its name, its revision, its verdict."""
_CHOICE_END = Struct("=256s56sH29sBi4x")
"""The same with a statistic match between them."""
_SOME_ADDRESS = {Family.IPV4: "192.0.2.0", Family.IPV6: "2001:db8::"}
"""Stands in a pattern where an address is filled in."""


class ChainEncoder:
    """Encodes the chains of one family."""

    def __init__(self, family: Family) -> None:
        """Encode for ``family``."""
        self._encoder = Encoder(family)
        self._some_address = _SOME_ADDRESS[family]
        layout = ENTRY_LAYOUTS[family]
        self._address_size = layout.address_size
        before_comment = slice(layout.header_size + len(COMMENT_HEADER))
        no_comment, no_odds = Comment(""), Statistic(0)
        self._choice_start = self._encoder.rule(Rule("", (no_comment, no_odds)))[before_comment]
        self._last_choice_start = self._encoder.rule(Rule("", (no_comment,)))[before_comment]
        self._shared: ServicePortPattern | None = None
        self._hairpin_end = self._translation_start = b""

    def entries(self, rules: Rules) -> tuple[bytes, ...]:
        """The entries of a chain.

        Raises:
            dataplane.kernel.encode.UnencodableRuleError: the kernel has no form for a rule.
        """
        if isinstance(rules, EndpointRules) and rules.shared.affinity_seconds is None:
            return self._endpoint_entries(rules)
        if isinstance(rules, ChoiceRules) and rules.shared.affinity_seconds is None:
            return (*map(self._encoder.rule, rules.leading), *self._choice_entries(rules))
        return tuple(map(self._encoder.rule, rules))

    def _endpoint_entries(self, rules: EndpointRules) -> tuple[bytes, bytes]:
        if rules.shared is not self._shared:
            self._take_pattern(rules.shared)
        address = packed_address(rules.address)
        port = rules.port
        return (
            address + self._hairpin_end,
            self._translation_start + DNAT_RANGE.pack(address, address, port, port),
        )

    def _take_pattern(self, shared: ServicePortPattern) -> None:
        """Encode what the endpoints of ``shared`` have in common; they come one after another."""
        comment = Comment(shared.name)
        to_itself = Rule(names.MARK_MASQ, (comment,), source=host_network(self._some_address))
        matches = (comment, PortMatch(shared.protocol))
        translation = Rule(Dnat(self._some_address, 0), matches, shared.protocol)
        self._hairpin_end = self._encoder.rule(to_itself)[self._address_size :]
        self._translation_start = self._encoder.rule(translation)[: -DNAT_RANGE.size]
        self._shared = shared

    def _choice_entries(self, rules: ChoiceRules) -> Iterator[bytes]:
        prefix = f"{rules.shared.name} -> "
        for (chain, text), odds in zip(rules.endpoints, rules.odds(), strict=True):
            comment = kept_comment(prefix + text).encode()
            name = chain.encode()
            if odds is None:
                end = _LAST_CHOICE_END.pack(comment, STANDARD_TARGET_SIZE, name, 0, 0)
                yield self._last_choice_start + end
            else:
                chance = statistic_extension(odds.fraction)
                end = _CHOICE_END.pack(comment, chance, STANDARD_TARGET_SIZE, name, 0, 0)
                yield self._choice_start + end
