# SPDX-License-Identifier: Apache-2.0
"""Chains as the kernel's entries; chains that follow a pattern without making their rules.

What a pattern's rules have in common is encoded once for each service port, by the encoder of
single rules; of each entry only what differs is filled in. The result is the same to the byte.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache, lru_cache
from struct import Struct

from dataplane.kernel.encode import (
    COMMENT_HEADER,
    DNAT_RANGE,
    NO_SETS,
    Encoder,
    packed_address,
    statistic_extension,
)
from dataplane.kernel.layout import (
    COMMENT_SIZE,
    ENTRY_LAYOUTS,
    STANDARD_TARGET_SIZE,
    STATISTIC_SIZE,
)
from rules import names
from rules.addresses import host_network
from rules.ir import Comment, Dnat, Family, PortMatch, Rule, Rules, Statistic
from rules.patterns import (
    ChoiceRules,
    DirectChoiceRules,
    EndpointRules,
    ServicePortPattern,
    odds_of,
)
from rules.text import kept_comment

_JUMP_SIZE = Struct("=H").pack(STANDARD_TARGET_SIZE)
_JUMP_END_SIZE = STANDARD_TARGET_SIZE - len(_JUMP_SIZE)
_CHOICE_END = Struct(f"={COMMENT_SIZE}s{STATISTIC_SIZE + len(_JUMP_SIZE)}s{_JUMP_END_SIZE}s")
"""Comment, then the statistic match with the jump's size, then the jump's name and zeros."""
_LAST_CHOICE_END = Struct(f"={COMMENT_SIZE}s{len(_JUMP_SIZE)}s{_JUMP_END_SIZE}s")
"""The same without the match."""
_PATTERNS = (EndpointRules, ChoiceRules, DirectChoiceRules)
_COMMENT = Comment("")
_SOME_ADDRESS = {Family.IPV4: "192.0.2.0", Family.IPV6: "2001:db8::"}
"""Stands in a pattern where an address is filled in."""


class ChainEncoder:
    """Encodes the chains of one family."""

    def __init__(self, family: Family, set_indices: Mapping[str, int] = NO_SETS) -> None:
        """Encode for ``family``; ``set_indices`` has the kernel's numbers of sets by name."""
        self.family = family
        self._encoder = Encoder(family, set_indices)
        self._some_address = some_address = _SOME_ADDRESS[family]
        layout = ENTRY_LAYOUTS[family]
        self._header_size, self._address_size = layout.header_size, layout.address_size
        self._comment_start = layout.header_size + len(COMMENT_HEADER)
        self._choice_start, _ = self._around_comment(Rule("", (_COMMENT, Statistic(0))))
        self._last_choice_start, _ = self._around_comment(Rule("", (_COMMENT,)))
        hairpin = Rule(names.MARK_MASQ, (_COMMENT,), source=host_network(some_address))
        start, self._hairpin_end = self._around_comment(hairpin)
        self._hairpin_start = start[layout.address_size :]
        self._around_translation = cache(self._around_translation_of)
        self._compact_endpoint = cache(self._compact_endpoint_of)
        self._around_odds = cache(self._around_odds_of)
        self._shared: ServicePortPattern | None = None
        self._hairpin_after_address = self._translation_before_range = b""

    def entries(self, rules: Rules) -> tuple[bytes, ...]:
        """The entries of a chain.

        Raises:
            dataplane.kernel.encode.UnencodableRuleError: the kernel has no form for a rule.
        """
        if isinstance(rules, _PATTERNS) and rules.shared.affinity_seconds is None:
            match rules:
                case EndpointRules():
                    return self._endpoint_entries(rules)
                case DirectChoiceRules():
                    return (*self._leading(rules), *self._direct_choice_entries(rules))
                case ChoiceRules() if not rules.shared.is_compact:
                    return (*self._leading(rules), *self._choice_entries(rules))
        return tuple(map(self._encoder.rule, rules))

    def _leading(self, rules: ChoiceRules | DirectChoiceRules) -> Iterator[bytes]:
        return map(self._encoder.rule, rules.leading)

    def _endpoint_entries(self, rules: EndpointRules) -> tuple[bytes, bytes]:
        if rules.shared is not self._shared:
            self._take_pattern(rules.shared)
        address = packed_address(rules.address)
        port = rules.port
        return (
            address + self._hairpin_after_address,
            self._translation_before_range + DNAT_RANGE.pack(address, address, port, port),
        )

    def _take_pattern(self, shared: ServicePortPattern) -> None:
        """Fill in what the endpoints of ``shared`` have in common; they come one after another."""
        self._shared = shared
        if shared.is_compact:
            after_address, before_range = self._compact_endpoint(shared.protocol)
        else:
            comment = kept_comment(shared.name).encode().ljust(COMMENT_SIZE, b"\0")
            start, end = self._around_translation(shared.protocol)
            after_address = self._hairpin_start + comment + self._hairpin_end
            before_range = start + comment + end
        self._hairpin_after_address, self._translation_before_range = after_address, before_range

    def _compact_endpoint_of(self, protocol: str) -> tuple[bytes, bytes]:
        """What such chains share: the hairpin rule from its mask on, the other up to its range."""
        shared = ServicePortPattern("", protocol, None, is_compact=True)
        sample = EndpointRules(shared, "", self._some_address, 0)
        hairpin, translation = map(self._encoder.rule, sample)
        return hairpin[self._address_size :], translation[: -DNAT_RANGE.size]

    def _around_translation_of(self, protocol: str) -> tuple[bytes, bytes]:
        target = Dnat(self._some_address, 0)
        rule = Rule(target, (_COMMENT, PortMatch(protocol)), protocol)
        start, end = self._around_comment(rule)
        return start, end[: -DNAT_RANGE.size]

    def _around_comment(self, rule: Rule) -> tuple[bytes, bytes]:
        """The entry of a rule whose first match is a comment, without the comment's text."""
        entry = self._encoder.rule(rule)
        return entry[: self._comment_start], entry[self._comment_start + COMMENT_SIZE :]

    def _choice_entries(self, rules: ChoiceRules) -> Iterator[bytes]:
        if not rules.endpoints:
            return
        prefix = f"{rules.shared.name} -> "
        *others, last = zip(rules.endpoints, _chances(len(rules.endpoints)), strict=True)
        start, pack = self._choice_start, _CHOICE_END.pack
        for (chain, text), chance in others:
            yield start + pack(kept_comment(prefix + text).encode(), chance, chain.encode())
        (chain, text), chance = last
        end = _LAST_CHOICE_END.pack(kept_comment(prefix + text).encode(), chance, chain.encode())
        yield self._last_choice_start + end

    def _direct_choice_entries(self, rules: DirectChoiceRules) -> Iterator[bytes]:
        protocol = rules.shared.protocol
        before_odds, after_odds, without_odds = self._around_odds(protocol)
        for (chain, address, port), odds in rules.with_odds():
            if chain:
                yield self._encoder.rule(Rule(chain, odds))
                continue
            packed = packed_address(address)
            destination = DNAT_RANGE.pack(packed, packed, port, port)
            if odds:
                chance = statistic_extension(odds[0].fraction)
                yield before_odds + chance + after_odds + destination
            else:
                yield without_odds + destination

    def _around_odds_of(self, protocol: str) -> tuple[bytes, bytes, bytes]:
        """A translation by chance, up to the odds and after them, and one without odds."""
        target = Dnat(self._some_address, 0)
        odds = Statistic(0)
        chance = len(statistic_extension(odds.fraction))
        one, other = (
            self._encoder.rule(Rule(target, matches, protocol))[: -DNAT_RANGE.size]
            for matches in ((odds,), ())
        )
        return one[: self._header_size], one[self._header_size + chance :], other


@lru_cache(maxsize=1 << 5)
def _chances(endpoints: int) -> tuple[bytes, ...]:
    """For each of so many endpoints what stands between comment and chain."""
    return tuple(
        b"".join(statistic_extension(one.fraction) for one in odds) + _JUMP_SIZE
        for odds in odds_of(endpoints)
    )
