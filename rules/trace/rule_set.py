# SPDX-License-Identifier: Apache-2.0
"""Rules to follow: ours as :mod:`rules.ir` has them, and others', who may say more than that."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from rules.ir import ACCEPT, BUILT_IN_CHAINS, RETURN, Family, Rule, Table, TableName, Tables
from rules.text import chains_in_order, save_rule

ANY_PORT: Final = (0, 0xFFFF)


class PortRanges(NamedTuple):
    """``--sport FIRST:LAST --dport FIRST:LAST`` of ``-m tcp`` and ``-m udp``."""

    protocol: str
    source: tuple[int, int] = ANY_PORT
    destination: tuple[int, int] = ANY_PORT

    def __str__(self) -> str:
        sides = (("--sport", self.source), ("--dport", self.destination))
        words = [f"{option} {_range_text(ports)}" for option, ports in sides if ports != ANY_PORT]
        return " ".join((f"-m {self.protocol}", *words))


class ForeignRule(NamedTuple):
    """A rule of somebody else that :mod:`rules.ir` has no exact words for."""

    known: Rule
    """What is understood of it."""
    ports: tuple[PortRanges, ...] = ()
    unknown: tuple[str, ...] = ()
    """What it asks or does besides, of which nothing can be told but the name."""
    target_text: str | None = None
    """The target as far as it is understood; None if ``known`` has all of it."""
    goes_on: bool = False
    """Whether it leaves packets as they are, for the next rule to judge; then ``known`` has no
    target."""

    def text(self, chain: str, family: Family) -> str:
        """As ``iptables-save`` prints it, as far as it is understood; the rest as a remark."""
        (head, _, target) = save_rule(chain, self.known, family).rpartition(" -j ")
        words = [head, *map(str, self.ports)]
        words.append(f"-j {target}" if self.target_text is None else self.target_text)
        if self.unknown:
            words.append(f"# and {', '.join(self.unknown)}")
        return " ".join(word for word in words if word)


TracedRule = Rule | ForeignRule


class Chain(NamedTuple):
    """All rules of a chain, whoever made them."""

    rules: tuple[TracedRule, ...]
    policy: str = RETURN
    """What becomes of a packet that comes to the end: ACCEPT or DROP in a built-in chain."""


RuleSet = Mapping[TableName, Mapping[str, Chain]]
"""The chains of each table by name, built-in ones among them."""


def desired_rule_set(tables: Tables) -> RuleSet:
    """A machine on which nothing stands but ``tables``."""
    return {table.name: _chains(table) for table in tables.values()}


def _chains(table: Table) -> Mapping[str, Chain]:
    built_in = BUILT_IN_CHAINS[table.name]
    return {
        name: Chain(tuple(rules), ACCEPT if name in built_in else RETURN)
        for name, rules in chains_in_order(table)
    }


def _range_text(ports: tuple[int, int]) -> str:
    first, last = ports
    return str(first) if first == last else f"{first}:{last}"
