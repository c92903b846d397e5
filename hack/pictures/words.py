# SPDX-License-Identifier: Apache-2.0
"""What a rule asks and does, in the few words that a picture has room for; comments left out."""

from __future__ import annotations

from collections.abc import Iterator

from rules.addresses import endpoint_text
from rules.ir import (
    AddressType,
    Comment,
    ConntrackState,
    Dnat,
    MarkMatch,
    Masquerade,
    Match,
    PortMatch,
    Reject,
    Rule,
    SetMark,
    Statistic,
)
from rules.text import state_list


class UndrawableRuleError(Exception):
    """A rule has a part that there are no words for."""

    def __init__(self, part: object) -> None:
        super().__init__(f"there are no words for {part!r}; add them to hack/pictures/words.py")


def condition(rule: Rule) -> str:
    """All that a packet must be to meet the rule.

    Raises:
        UndrawableRuleError: something is asked that there are no words for.
    """
    return ", ".join(_conditions(rule)) or "all"


def effect(rule: Rule) -> str:
    """What the rule does to a packet that meets it.

    Raises:
        UndrawableRuleError: there are no words for it.
    """
    match rule.target:
        case str(chain):
            return chain
        case SetMark(value, 0):
            return f"flip mark {value:#x}"
        case SetMark(value, _):
            return f"set mark {value:#x}"
        case Dnat(address, port):
            return f"DNAT to {endpoint_text(address, port)}"
        case Masquerade():
            return "MASQUERADE"
        case Reject():
            return "REJECT"
        case other:
            raise UndrawableRuleError(other)


def _conditions(rule: Rule) -> Iterator[str]:
    yield from _network("from", rule.source, negated=rule.not_source)
    yield from _network("to", rule.destination, negated=rule.not_destination)
    if rule.in_interface:
        yield f"{_not(negated=rule.not_in_interface)}by {rule.in_interface}"
    has_ports = any(isinstance(match, PortMatch) for match in rule.matches)
    if rule.protocol and not has_ports:
        yield rule.protocol
    for match in rule.matches:
        yield from _asked(match)


def _network(word: str, network: str, *, negated: bool) -> Iterator[str]:
    if network:
        yield f"{_not(negated=negated)}{word} {network.removesuffix('/32')}"


def _not(*, negated: bool) -> str:
    return "not " if negated else ""


def _asked(match: Match) -> Iterator[str]:
    match match:
        case Comment():
            pass
        case PortMatch(protocol, None):
            yield protocol
        case PortMatch(protocol, port):
            yield f"{protocol} port {port}" if match.last is None else _range(match)
        case MarkMatch(value, negated=negated):
            yield f"{_not(negated=negated)}marked {value:#x}"
        case AddressType(source_local=True):
            yield "from this node"
        case AddressType():
            yield "to this node"
        case ConntrackState(states, negated=negated):
            is_new = states == {"NEW"} and not negated
            yield "new" if is_new else f"{_not(negated=negated)}{state_list(match).lower()}"
        case Statistic(fraction):
            yield f"{fraction / (1 << 31):.0%} at random"
        case other:
            raise UndrawableRuleError(other)


def _range(match: PortMatch) -> str:
    return f"{match.protocol} ports {match.destination} to {match.last}"
