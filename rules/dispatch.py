# SPDX-License-Identifier: Apache-2.0
"""A tree of chains by destination address, so that a packet meets tens of rules, not thousands.

A chain with many rules for VIPs becomes a few jumps by address prefix, and so do the chains that
these lead to, until few rules are left. Which chains there are and what stands in each follows from
the set of VIPs alone: prefixes end at fixed bits, and a chain is named after its prefix. So a VIP
that comes or goes changes the chain where its rule stands, and now and then one above it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

from rules import names
from rules.ir import Rule, Rules

_FEW: Final = 16
"""Rules that stand in one chain without a tree: about as many as there are jumps in one."""
_STEP: Final = 4
"""Bits of the address that one chain decides on: at most 16 jumps."""

_ADDRESS: Final = {32: IPv4Address, 128: IPv6Address}
"""By its bits."""

_Keyed = Sequence[tuple[int, Rule]]
"""Rules with their VIPs as numbers."""


def dispatch(chain: str, rules: Sequence[Rule], kind: str) -> Mapping[str, Rules]:
    """``chain`` and those it leads to, which decide on packets as ``rules`` in one chain would.

    The destination of a rule, if it has one, is a VIP; rules without one come last, in their order.
    The names of the other chains begin with ``kind``.
    """
    keyed = [(_number(rule.destination), rule) for rule in rules if rule.destination]
    if len(keyed) <= _FEW:
        return {chain: tuple(rules)}
    tree = _Tree(kind, 128 if ":" in keyed[0][1].destination else 32)
    top = tuple(tree.rules(keyed))
    return {chain: (*top, *(rule for rule in rules if not rule.destination)), **tree.chains}


class _Tree:
    """The chains of a tree below its top."""

    def __init__(self, kind: str, bits: int) -> None:
        self._kind = kind
        self._bits = bits
        self.chains: dict[str, Rules] = {}

    def rules(self, keyed: _Keyed) -> Iterator[Rule]:
        """The rules of the chain that decides on ``keyed``."""
        alike = self._alike(keyed)
        if len(keyed) <= _FEW or alike == self._bits:
            yield from (rule for _, rule in keyed)
            return
        shift = self._bits - alike - _STEP
        groups: defaultdict[int, list[tuple[int, Rule]]] = defaultdict(list)
        for item in keyed:
            groups[item[0] >> shift].append(item)
        for prefix in sorted(groups):
            group = groups[prefix]
            yield group[0][1] if len(group) == 1 else self._jump(group)

    def _jump(self, group: _Keyed) -> Rule:
        length = self._alike(group)
        shift = self._bits - length
        network = f"{_ADDRESS[self._bits](group[0][0] >> shift << shift)}/{length}"
        chain = names.dispatch_chain(self._kind, network)
        self.chains[chain] = tuple(self.rules(group))
        return Rule(chain, destination=network)

    def _alike(self, keyed: _Keyed) -> int:
        """How many leading bits all VIPs share, in whole steps."""
        numbers = [number for number, _ in keyed]
        differing = (min(numbers) ^ max(numbers)).bit_length()
        return (self._bits - differing) // _STEP * _STEP


@lru_cache(maxsize=1 << 16)
def _number(host_network: str) -> int:
    return int(ip_address(host_network.partition("/")[0]))
