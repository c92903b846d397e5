# SPDX-License-Identifier: Apache-2.0
"""Rules as ``iptables -nvL`` lists them, before the first packet has come.

Columns and words are those of iptables 1.8.9, but protocols have names, as everywhere before and
after that version, which prints their numbers.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

from rules.addresses import endpoint_text
from rules.ir import (
    BUILT_IN_CHAINS,
    AddressType,
    AddToSet,
    Comment,
    ConntrackState,
    Dnat,
    Family,
    MarkMatch,
    Masquerade,
    Match,
    PortMatch,
    Recent,
    Reject,
    Rule,
    SetMark,
    SetMatch,
    Statistic,
    Table,
    Tables,
    Target,
    is_jump,
)
from rules.text import (
    HOST_MASK,
    REJECT_WITH,
    chains_in_order,
    kept_comment,
    mark_value,
    probability,
    state_list,
)

_HEADER: Final = (
    " pkts bytes target     prot opt in     out     source               destination         "
)
_EVERYWHERE: Final = {Family.IPV4: "0.0.0.0/0", Family.IPV6: "::/0"}
_ALL_BITS: Final = (1 << 32) - 1


def list_tables(tables: Tables, family: Family) -> str:
    """All ``tables`` of one family, each under a line with its name."""
    return "\n".join(
        f"Table {table.name.value} ({family.value})\n\n{list_table(table, family)}"
        for table in tables.values()
    )


def list_table(table: Table, family: Family) -> str:
    """One table, chain by chain, with an empty line between two chains."""
    chains = [(chain, tuple(rules)) for chain, rules in chains_in_order(table)]
    references = Counter(
        rule.target for _, rules in chains for rule in rules if is_jump(rule.target)
    )
    blocks = []
    for chain, rules in chains:
        about = (
            "policy ACCEPT 0 packets, 0 bytes"
            if chain in BUILT_IN_CHAINS[table.name]
            else f"{references[chain]} references"
        )
        lines = [f"Chain {chain} ({about})", _HEADER, *(list_rule(rule, family) for rule in rules)]
        blocks.append("\n".join(lines) + "\n")
    return "\n".join(blocks)


def list_rule(rule: Rule, family: Family) -> str:
    """One rule as a line of its chain."""
    name, *target_words = _target(rule.target, family)
    in_interface = _not(negated=rule.not_in_interface) + (rule.in_interface or "*")
    source = (_not(negated=rule.not_source) or " ") + _place(rule.source, family)
    destination = (_not(negated=rule.not_destination) or " ") + _place(rule.destination, family)
    columns = (
        f"    0     0 {name:9}  {rule.protocol or 'all':4} --  {in_interface:6} *      "
        f"{source:20} {destination:20} "
    )
    return " ".join((columns, *(_match(match, family) for match in rule.matches), *target_words))


def _not(*, negated: bool) -> str:
    return "!" if negated else ""


def _place(network: str, family: Family) -> str:
    """A network; a single address is shown without its prefix length."""
    return network.removesuffix(f"/{family.host_prefix_length}") or _EVERYWHERE[family]


def _match(  # noqa: C901, PLR0911 - one case for each kind
    match: Match, family: Family
) -> str:
    match match:
        case Comment(text):
            return f"/* {kept_comment(text)} */"
        case PortMatch(protocol, None):
            return protocol
        case PortMatch(protocol, port, None):
            return f"{protocol} dpt:{port}"
        case PortMatch(protocol, first, last):
            return f"{protocol} dpts:{first}:{last}"
        case MarkMatch():
            return f"mark match {'! ' if match.negated else ''}{mark_value(match)}"
        case AddressType():
            source = " src-type LOCAL" if match.source_local else ""
            destination = " dst-type LOCAL" if match.destination_local else ""
            return f"ADDRTYPE match{source}{destination}"
        case ConntrackState():
            return f"{'! ' if match.negated else ''}ctstate {state_list(match)}"
        case Statistic():
            return f"statistic mode random probability {probability(match)}"
        case Recent(name, seconds):
            action = "SET" if seconds is None else f"CHECK seconds: {seconds} reap"
            return f"recent: {action} name: {name} side: source mask: {HOST_MASK[family]}"
        case SetMatch(name):
            return f"match-set {name} src"


def _target(target: Target, family: Family) -> tuple[str, ...]:
    """The target's name and, if it has any, its options."""
    match target:
        case str():
            return (target,)
        case SetMark():
            return "MARK", f"MARK {_mark_change(target)}"
        case Masquerade():
            return "MASQUERADE", "random-fully"
        case Dnat(address, port):
            return "DNAT", f"to:{endpoint_text(address, port)}"
        case Reject():
            return "REJECT", f"reject-with {REJECT_WITH[family]}"
        case AddToSet(name, seconds):
            return "SET", f"add-set {name} src exist timeout {seconds}"


def _mark_change(target: SetMark) -> str:
    """What becomes of the mark, in iptables' order of preference."""
    if target.value == 0:
        return f"and {target.mask ^ _ALL_BITS:#x}"
    if target.value == target.mask:
        return f"or {target.value:#x}"
    if target.mask == 0:
        return f"xor {target.value:#x}"
    if target.mask == _ALL_BITS:
        return f"set {target.value:#x}"
    return f"xset {target.value:#x}/{target.mask:#x}"
