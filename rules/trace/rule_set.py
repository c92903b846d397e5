# SPDX-License-Identifier: Apache-2.0
"""Rules to follow: ours as :mod:`rules.ir` has them, and others', who may say more than that."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Iterator, Mapping
from typing import Final, NamedTuple

from rules.ir import ACCEPT, BUILT_IN_CHAINS, RETURN, Family, Rule, Table, TableName, Tables
from rules.text import save_rule

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


class LazyChains(Mapping[str, Chain]):
    """The chains of a table, each made when it is first asked for: a packet sees few of them."""

    def __init__(self) -> None:
        self._made: dict[str, Chain] = {}

    @abstractmethod
    def make(self, name: str) -> Chain:
        """Make a chain.

        Raises:
            KeyError: there is none of that name.
        """

    @abstractmethod
    def names(self) -> Collection[str]:
        """The names of all chains."""

    def __getitem__(self, name: str) -> Chain:
        if name not in self._made:
            self._made[name] = self.make(name)
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def __len__(self) -> int:
        return len(self.names())


def desired_rule_set(tables: Tables) -> RuleSet:
    """A machine on which nothing stands but ``tables``."""
    return {table.name: _DesiredChains(table) for table in tables.values()}


class _DesiredChains(LazyChains):
    """The chains of a desired table."""

    def __init__(self, table: Table) -> None:
        super().__init__()
        self._table = table
        self._built_in = BUILT_IN_CHAINS[table.name]
        self._hooked: dict[str, tuple[Rule, ...]] = dict.fromkeys(
            (*self._built_in, *table.shared_chains), ()
        )
        for hook in table.hooks:
            self._hooked[hook.chain] += (hook.rule,)

    def make(self, name: str) -> Chain:
        """See :class:`LazyChains`."""
        rules = self._hooked[name] if name in self._hooked else tuple(self._table.chains[name])
        return Chain(rules, ACCEPT if name in self._built_in else RETURN)

    def names(self) -> Collection[str]:
        """See :class:`LazyChains`."""
        return {**self._hooked, **self._table.chains}.keys()


def _range_text(ports: tuple[int, int]) -> str:
    first, last = ports
    return str(first) if first == last else f"{first}:{last}"
