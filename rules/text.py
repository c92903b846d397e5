# SPDX-License-Identifier: Apache-2.0
"""Rules as ``iptables-save`` prints them.

The text equals what ``iptables-legacy-save`` 1.8.9 prints once the rules stand in the kernel, but
for its time stamps and counters, and ``iptables-restore`` reads it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Final

from rules.addresses import endpoint_text
from rules.affinity import HASH_SIZE, MOST_CLIENTS
from rules.ir import (
    BUILT_IN_CHAINS,
    AddressType,
    AddToSet,
    ClientSet,
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
)

HOST_MASK: Final = {
    Family.IPV4: "255.255.255.255",
    Family.IPV6: "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
}
"""The mask that ``-m recent`` prints when it tells single addresses apart."""

REJECT_WITH: Final = {
    Family.IPV4: "icmp-port-unreachable",
    Family.IPV6: "icmp6-port-unreachable",
}

_SET_FAMILY: Final = {Family.IPV4: "inet", Family.IPV6: "inet6"}

_LONGEST_CHARACTER: Final = 4
"""Bytes of a character in UTF-8, at most."""
_COMMENT_BYTES: Final = 255
"""XT_MAX_COMMENT_LEN (256) less the NUL."""

_STATES: Final = ("INVALID", "NEW", "RELATED", "ESTABLISHED", "UNTRACKED", "SNAT", "DNAT")
"""In the order of iptables' ``libxt_conntrack.c``."""

_UNQUOTED: Final = frozenset("_-0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
_ESCAPES: Final = str.maketrans({character: f"\\{character}" for character in "\"\\'"})


def save_tables(tables: Tables, family: Family) -> str:
    """All ``tables`` of one family, as one input for ``iptables-restore``."""
    return "".join(save_table(table, family) for table in tables.values())


def save_table(table: Table, family: Family) -> str:
    """One table, from ``*nat`` to ``COMMIT``, after remarks that make the sets it needs."""
    built_in = BUILT_IN_CHAINS[table.name]
    lines = [f"# ipset {line}" for line in save_sets(table.client_sets, family)]
    lines.append(f"*{table.name.value}")
    rule_lines: list[str] = []
    for chain, rules in chains_in_order(table):
        lines.append(f":{chain} {'ACCEPT' if chain in built_in else '-'} [0:0]")
        rule_lines += [save_rule(chain, rule, family) for rule in rules]
    return "\n".join((*lines, *rule_lines, "COMMIT", ""))


def save_sets(sets: Iterable[ClientSet], family: Family) -> Iterator[str]:
    """Sets by name, as ``ipset save`` prints them, without what the kernel adds by itself."""
    for one in sorted(sets):
        yield (
            f"create {one.name} hash:ip family {_SET_FAMILY[family]} hashsize {HASH_SIZE} "
            f"maxelem {MOST_CLIENTS} timeout {one.timeout_seconds}"
        )


def save_rule(chain: str, rule: Rule, family: Family) -> str:
    """One rule as the ``-A`` line that adds it."""
    words = [f"-A {chain}"]
    words += _network("-s", rule.source, negated=rule.not_source)
    words += _network("-d", rule.destination, negated=rule.not_destination)
    if rule.in_interface:
        words.append(f"{_not(negated=rule.not_in_interface)}-i {rule.in_interface}")
    if rule.protocol:
        words.append(f"-p {rule.protocol}")
    words += [_match(match, family) for match in rule.matches]
    words.append(_target(rule.target, family))
    return " ".join(words)


def chains_in_order(table: Table) -> Iterator[tuple[str, Iterable[Rule]]]:
    """The chains that ``table`` speaks of with their rules: built-in ones first, others by name.

    No chain has both hooks and rules of its own: :mod:`rules.check`.
    """
    hooks: defaultdict[str, list[Rule]] = defaultdict(list)
    for hook in table.hooks:
        hooks[hook.chain].append(hook.rule)
    for chain in BUILT_IN_CHAINS[table.name]:
        yield chain, hooks[chain]
    for chain in sorted({*table.chains, *table.shared_chains}):
        yield chain, table.chains.get(chain, hooks[chain])


def kept_comment(text: str) -> str:
    """What the kernel keeps of a comment: 255 bytes, here without half a character at the end."""
    if len(text) * _LONGEST_CHARACTER <= _COMMENT_BYTES:
        return text
    return text.encode()[:_COMMENT_BYTES].decode(errors="ignore")


def probability(statistic: Statistic) -> str:
    """The odds as iptables computes them back from the kernel's fraction."""
    return f"{statistic.fraction / (1 << 31):.11f}"


def state_list(match: ConntrackState) -> str:
    """The states in iptables' order."""
    return ",".join(state for state in _STATES if state in match.states)


def mark_value(match: MarkMatch) -> str:
    """The mark to match; a mask of all bits goes without saying."""
    return (
        f"{match.value:#x}" if match.mask == (1 << 32) - 1 else f"{match.value:#x}/{match.mask:#x}"
    )


def quoted(text: str) -> str:
    """``text`` as iptables' ``xtables_save_string`` prints it."""
    if text and _UNQUOTED.issuperset(text):
        return text
    return f'"{text.translate(_ESCAPES)}"'


def _not(*, negated: bool) -> str:
    return "! " if negated else ""


def _network(option: str, network: str, *, negated: bool) -> Iterator[str]:
    """A network that all addresses are in says nothing, unless it is negated."""
    if network and (negated or not network.endswith("/0")):
        yield f"{_not(negated=negated)}{option} {network}"


def _match(  # noqa: C901, PLR0911 - one case for each kind
    match: Match, family: Family
) -> str:
    match match:
        case Comment(text):
            return f"-m comment --comment {quoted(kept_comment(text))}"
        case PortMatch(protocol, None):
            return f"-m {protocol}"
        case PortMatch(protocol, port, None):
            return f"-m {protocol} --dport {port}"
        case PortMatch(protocol, first, last):
            return f"-m {protocol} --dport {first}:{last}"
        case MarkMatch():
            return f"-m mark {_not(negated=match.negated)}--mark {mark_value(match)}"
        case AddressType():
            return f"-m addrtype{_address_types(match)}"
        case ConntrackState():
            negation = _not(negated=match.negated)
            return f"-m conntrack {negation}--ctstate {state_list(match)}"
        case Statistic():
            return f"-m statistic --mode random --probability {probability(match)}"
        case Recent(name, seconds):
            action = "--set" if seconds is None else f"--rcheck --seconds {seconds} --reap"
            return f"-m recent {action} --name {name} --mask {HOST_MASK[family]} --rsource"
        case SetMatch(name):
            return f"-m set --match-set {name} src"


def _address_types(match: AddressType) -> str:
    source = " --src-type LOCAL" if match.source_local else ""
    destination = " --dst-type LOCAL" if match.destination_local else ""
    return source + destination


def _target(target: Target, family: Family) -> str:
    match target:
        case str():
            return f"-j {target}"
        case SetMark(value, mask):
            return f"-j MARK --set-xmark {value:#x}/{mask:#x}"
        case Masquerade():
            return "-j MASQUERADE --random-fully"
        case Dnat(address, port):
            return f"-j DNAT --to-destination {endpoint_text(address, port)}"
        case Reject():
            return f"-j REJECT --reject-with {REJECT_WITH[family]}"
        case AddToSet(name, seconds):
            return f"-j SET --add-set {name} src --exist --timeout {seconds}"
