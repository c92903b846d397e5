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
    SET_NUMBER,
    Encoder,
    packed_address,
    statistic_extension,
)
from dataplane.kernel.layout import (
    COMMENT_SIZE,
    ENTRY_LAYOUTS,
    EXTENSION_HEADER,
    STANDARD_TARGET_SIZE,
    STATISTIC_SIZE,
)
from rules import names
from rules.addresses import host_network
from rules.ir import (
    AddToSet,
    Comment,
    Dnat,
    Family,
    PortMatch,
    Rule,
    Rules,
    SetMatch,
    Statistic,
)
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
_SOME_SET = ""
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
        self._before_ranges = lru_cache(maxsize=1 << 5)(self._before_ranges_of)
        self._sample_encoder = Encoder(family, {_SOME_SET: 0})
        self._around_own_set = cache(self._around_own_set_of)
        self._around_asked_set = self._around_asked_set_of()
        by_chance = self._encoder.rule(Rule("", (Statistic(0),)))
        self._compact_choice_start = by_chance[: layout.header_size]
        self._last_compact_choice_start = self._encoder.rule(Rule(""))[: layout.header_size]
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
        elif isinstance(rules, _PATTERNS) and rules.shared.is_compact and rules.shared.uses_sets:
            match rules:
                case EndpointRules():
                    return self._remembering_endpoint_entries(rules)
                case ChoiceRules():
                    return (*self._leading(rules), *self._remembering_choice_entries(rules))
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

    def _remembering_endpoint_entries(self, rules: EndpointRules) -> tuple[bytes, bytes, bytes]:
        hairpin, translation = self._endpoint_entries(rules)
        before, after = self._around_own_set(rules.shared.affinity_seconds or 0)
        number = self._encoder.set_number(names.client_set(rules.chain))
        return hairpin, before + SET_NUMBER.pack(number) + after, translation

    def _remembering_choice_entries(self, rules: ChoiceRules) -> Iterator[bytes]:
        if not rules.endpoints:
            return
        before, after = self._around_asked_set
        jumps = [chain.encode().ljust(_JUMP_END_SIZE, b"\0") for chain, _ in rules.endpoints]
        for (chain, _), jump in zip(rules.endpoints, jumps, strict=True):
            number = self._encoder.set_number(names.client_set(chain))
            yield before + SET_NUMBER.pack(number) + after + jump
        *others, last = zip(_chances(len(jumps)), jumps, strict=True)
        for chance, jump in others:
            yield self._compact_choice_start + chance + jump
        yield self._last_compact_choice_start + b"".join(last)

    def _around_own_set_of(self, seconds: int) -> tuple[bytes, bytes]:
        """The rule that remembers a client, up to the number of the set and after it."""
        entry = self._sample_encoder.rule(Rule(AddToSet(_SOME_SET, seconds)))
        start = self._header_size + EXTENSION_HEADER.size
        return entry[:start], entry[start + SET_NUMBER.size :]

    def _around_asked_set_of(self) -> tuple[bytes, bytes]:
        """The rule that asks for a client, up to the number of the set, and on to the chain."""
        entry = self._sample_encoder.rule(Rule("", (SetMatch(_SOME_SET),)))
        start = self._header_size + EXTENSION_HEADER.size
        return entry[:start], entry[start + SET_NUMBER.size : -_JUMP_END_SIZE]

    def _direct_choice_entries(self, rules: DirectChoiceRules) -> Iterator[bytes]:
        before_range = self._before_ranges(rules.shared.protocol, len(rules.endpoints))
        pack = DNAT_RANGE.pack
        for number, (chain, address, port) in enumerate(rules.endpoints):
            if chain:
                odds = odds_of(len(rules.endpoints))[number]
                yield self._encoder.rule(Rule(chain, odds))
            else:
                packed = packed_address(address)
                yield before_range[number] + pack(packed, packed, port, port)

    def _before_ranges_of(self, protocol: str, endpoints: int) -> tuple[bytes, ...]:
        """For each of so many endpoints the translation by chance, up to its range."""
        target = Dnat(self._some_address, 0)
        return tuple(
            self._encoder.rule(Rule(target, odds, protocol))[: -DNAT_RANGE.size]
            for odds in odds_of(endpoints)
        )


@lru_cache(maxsize=1 << 5)
def _chances(endpoints: int) -> tuple[bytes, ...]:
    """For each of so many endpoints what stands between comment and chain."""
    return tuple(
        b"".join(statistic_extension(one.fraction) for one in odds) + _JUMP_SIZE
        for odds in odds_of(endpoints)
    )
