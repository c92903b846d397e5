# SPDX-License-Identifier: Apache-2.0
"""Desired rules as if they stood in a kernel and had counted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from ipaddress import ip_address

from rules.ir import Dnat, Reject, Rule, TableName, Tables, Target
from rules.traffic.accounts import is_counted
from rules.traffic.tally import CountedRule


def counted_rules(tables: Tables, packets: Callable[[Rule], int]) -> Iterator[CountedRule]:
    """The rules of ``tables`` that may count for Services, in no kernel's order."""
    for name, table in tables.items():
        for chain, rules in table.chains.items():
            for rule in rules:
                if is_counted(name, _target_name(rule.target)):
                    yield as_counted(name, chain, rule, packets(rule))


def as_counted(table: TableName, chain: str, rule: Rule, packets: int) -> CountedRule:
    """A rule with its counter; its header is what iptables would put there."""
    header = rule._replace(matches=(), target="")
    return CountedRule(table, chain, rule, header, packets)


def _target_name(target: Target) -> str:
    match target:
        case str():
            return target
        case Dnat():
            return "DNAT"
        case Reject():
            return "REJECT"
        case _:
            return ""


def many_addresses(first: str, count: int) -> list[str]:
    """``count`` addresses from ``first`` on."""
    return [str(ip_address(first) + number) for number in range(count)]
