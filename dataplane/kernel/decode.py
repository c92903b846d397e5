# SPDX-License-Identifier: Apache-2.0
"""The kernel's entries as rules, ours and others'.

Nothing is taken on trust: what is read off an entry is encoded again, and only if the bytes are the
same was it understood. All else keeps its name and stops whoever has to know what it does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from struct import error as StructError  # noqa: N812 - its own name says nothing
from typing import Final, NamedTuple, TypeVar

from dataplane.kernel.decode_extensions import (
    MATCH_READERS,
    SAME_WHATEVER_THEIR_OPTIONS,
    TARGET_READERS,
    WITHOUT_EFFECT,
    read_ports,
    set_match_reader,
    set_target_reader,
)
from dataplane.kernel.encode import NO_SETS, Encoder, UnencodableRuleError
from dataplane.kernel.layout import (
    ENTRY_LAYOUTS,
    EXTENSION_HEADER,
    INVERT_DESTINATION,
    INVERT_IN_INTERFACE,
    INVERT_SOURCE,
    PROTOCOL_NUMBERS,
)
from rules.ir import Comment, Family, Match, Rule, Target
from rules.trace.rule_set import ForeignRule, PortRanges, TracedRule

_Proposal = TypeVar("_Proposal")
_UNDERSTOOD_INVERSIONS: Final = INVERT_SOURCE | INVERT_DESTINATION | INVERT_IN_INTERFACE
_PROTOCOL_NAMES: Final = {number: name for name, number in PROTOCOL_NUMBERS.items()}


class _Extension(NamedTuple):
    """A match or target."""

    name: str
    data: bytes
    whole: bytes


@dataclass(slots=True)
class _Findings:
    """What was read off an entry so far."""

    matches: list[Match] = field(default_factory=list)
    ports: list[PortRanges] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)


class Decoder:
    """Decodes the entries of one family."""

    def __init__(self, family: Family, set_indices: Mapping[str, int] = NO_SETS) -> None:
        """Decode for ``family``; ``set_indices`` has the kernel's numbers of our sets by name.

        What others' sets hold is their own affair: a rule that asks for it is not understood.
        """
        self._family = family
        self._layout = ENTRY_LAYOUTS[family]
        self._encoder = Encoder(family, set_indices)
        names = {index: name for name, index in set_indices.items()}
        self._match_readers = {**MATCH_READERS, "set": set_match_reader(names)}
        self._target_readers = {**TARGET_READERS, "SET": set_target_reader(names)}

    def rule(self, entry: bytes) -> TracedRule:
        """The rule of an entry in canonical form; a foreign one if :mod:`rules.ir` lacks words."""
        found = _Findings()
        header = self._header(entry, found)
        (*matches, target) = self._extensions(entry)
        for match in matches:
            self._read_match(match, found)
        known = header._replace(matches=tuple(found.matches))
        exact = known._replace(target=self._propose_target(target))
        if target.name not in WITHOUT_EFFECT and self._is_understood(exact, entry, found):
            return exact
        return self._foreign(known, target, found)

    def _header(self, entry: bytes, found: _Findings) -> Rule:
        """What the header asks for, as a rule without matches and target."""
        size = self._layout.address_size
        source, destination, source_mask, mask = (
            entry[start : start + size] for start in range(0, 4 * size, size)
        )
        (name, out_name, name_mask, _, number, flags, inverted, *_) = (
            self._layout.header_after_networks.unpack_from(entry, 4 * size)
        )
        if any(out_name):
            found.unknown.append(f"output interface {_text(out_name)}")
        if flags != (self._layout.protocol_flag if number else 0):
            found.unknown.append(f"flags {flags:#x} (such as --goto)")
        if inverted & ~_UNDERSTOOD_INVERSIONS:
            found.unknown.append(f"inversion {inverted & ~_UNDERSTOOD_INVERSIONS:#x}")
            number = 0
        return Rule(
            "",
            protocol=_PROTOCOL_NAMES.get(number, str(number)),
            source=_network(source, source_mask, found),
            destination=_network(destination, mask, found),
            in_interface=_interface(name, name_mask, found),
            not_source=bool(inverted & INVERT_SOURCE),
            not_destination=bool(inverted & INVERT_DESTINATION),
            not_in_interface=bool(inverted & INVERT_IN_INTERFACE),
        )

    def _extensions(self, entry: bytes) -> Iterator[_Extension]:
        """The matches and, last, the target."""
        offset = self._layout.header_size
        while offset < len(entry):
            size, name, _ = EXTENSION_HEADER.unpack_from(entry, offset)
            whole = entry[offset : offset + size]
            yield _Extension(_text(name), whole[EXTENSION_HEADER.size :], whole)
            offset += size

    def _read_match(self, match: _Extension, found: _Findings) -> None:
        reader = self._match_readers.get(match.name)
        proposed = _propose(reader, match.data) if reader else None
        if isinstance(proposed, Comment) or (
            proposed and self._is_match_understood(proposed, match)
        ):
            found.matches.append(proposed)
        elif ports := read_ports(match.name, match.data):
            found.ports.append(ports)
        else:
            found.unknown.append(f"match {match.name}")

    def _propose_target(self, target: _Extension) -> Target:
        """What the target may be; a chain or verdict of its name if it is nothing else."""
        reader = self._target_readers.get(target.name)
        proposed = _propose(reader, target.data, self._family) if reader else None
        return target.name if proposed is None else proposed

    def _foreign(self, known: Rule, target: _Extension, found: _Findings) -> ForeignRule:
        ports, unknown = tuple(found.ports), tuple(found.unknown)
        if target.name in WITHOUT_EFFECT:
            text = f"-j {target.name}" if target.name else ""
            return ForeignRule(known, ports, unknown, text, goes_on=True)
        proposed = self._propose_target(target)
        if self._is_understood_alone(proposed, target):
            return ForeignRule(known._replace(target=proposed), ports, unknown)
        if target.name in SAME_WHATEVER_THEIR_OPTIONS:
            text = f"-j {target.name}"
            return ForeignRule(known._replace(target=proposed), ports, unknown, text)
        unknown = (*unknown, f"target {target.name}")
        return ForeignRule(known, ports, unknown, f"-j {target.name}")

    def _is_match_understood(self, proposed: Match, match: _Extension) -> bool:
        start = self._layout.header_size
        encoded = self._encode(Rule("", (proposed,)))
        return encoded[start : start + len(match.whole)] == match.whole

    def _is_understood_alone(self, proposed: Target, target: _Extension) -> bool:
        return self._encode(Rule(proposed))[self._layout.header_size :] == target.whole

    def _is_understood(self, rule: Rule, entry: bytes, found: _Findings) -> bool:
        """Whether ``rule`` says all that the entry does; protocols without a name are others'."""
        return (
            not found.unknown and rule.protocol in PROTOCOL_NUMBERS and self._encode(rule) == entry
        )

    def _encode(self, rule: Rule) -> bytes:
        """The entry of a rule; none if there is no such entry."""
        try:
            return self._encoder.rule(rule)
        except UnencodableRuleError:
            return b""


def _text(name: bytes) -> str:
    return name.partition(b"\0")[0].decode(errors="replace")


def _network(address: bytes, mask: bytes, found: _Findings) -> str:
    """A network in CIDR form; empty for all."""
    bits = int.from_bytes(mask, "big")
    length = bits.bit_count()
    width = len(mask) * 8
    if bits != (1 << width) - (1 << width - length):
        found.unknown.append(f"network mask {ip_address(mask)}")
        return ""
    return f"{ip_address(address)}/{length}" if length else ""


def _interface(name: bytes, mask: bytes, found: _Findings) -> str:
    """A name, or a prefix and ``+``; whether the ``+`` itself is kept is up to who wrote it."""
    compared = mask.count(0xFF)
    if mask != (b"\xff" * compared).ljust(len(mask), b"\0"):
        found.unknown.append(f"input interface mask {mask.hex()}")
        return ""
    text = _text(name)
    return text if compared > len(text) or not text else f"{text[:compared]}+"


def _propose(reader: Callable[..., _Proposal], *arguments: object) -> _Proposal | None:
    """What a reader makes of an extension; nothing if that is another revision, and shorter."""
    try:
        return reader(*arguments)
    except StructError:
        return None
