# SPDX-License-Identifier: Apache-2.0
"""Trees of chains by destination, so that a packet meets tens of rules, not thousands.

A chain with many rules, each for one place (an address, a protocol, a port), becomes a few jumps by
network or by range of ports, and so do the chains that these lead to, until few rules are left.
Which chains there are and what stands in each follows from the rules and their owners alone: a
jump's region ends at fixed bits, and a chain is named after its region. So a Service that comes or
goes changes the chain where its rule stands, and now and then one above it; and nothing else is
looked at.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from rules import names
from rules.ir import Family, Rule, Rules
from rules.model import ObjectKey
from rules.places import DIGIT_BITS, Places, place_of

_FEW: Final = 16
"""Rules that stand in one chain without a tree: about as many as there are jumps in one."""


class Change(NamedTuple):
    """What becomes of the rules that a Service has in a chain."""

    owner: ObjectKey
    before: Rules
    after: Rules


class _Entry(NamedTuple):
    """A rule, and what it is sorted by; no two are alike in the first three."""

    place: int
    owner: ObjectKey
    number: int
    rule: Rule


class _Branch(NamedTuple):
    """A chain, and those that it leads to."""

    chain: str
    rules: tuple[Rule, ...]
    branches: tuple[_Branch, ...] = ()


class Dispatch:
    """What stands in a chain that Services share: a tree for VIPs and one for node ports.

    It follows changes, and is at all times what a new one would make of the same rules.
    """

    def __init__(
        self, chain: str, family: Family, *, vip_prefix: str = "", node_port_prefix: str = ""
    ) -> None:
        """No rules yet; the names of further chains begin with the prefix of their tree.

        A prefix may be missing if no rule asks for a VIP, or if all do.
        """
        self._chain = chain
        self._vips = _Tree(vip_prefix, Places(family.host_prefix_length))
        self._node_ports = _Tree(node_port_prefix, Places(0))
        self.chains: Mapping[str, Rules] = {chain: ()}
        """The chain, and all that it leads to in order to decide."""

    def follow(self, changes: Iterable[Change]) -> None:
        """Take other rules of some Services."""
        changes = [change for change in changes if change.before != change.after]
        if not changes:
            return
        gone = [entry for owner, before, _ in changes for entry in _entries(owner, before)]
        come = [entry for owner, _, after in changes for entry in _entries(owner, after)]
        for tree, is_for_vips in ((self._vips, True), (self._node_ports, False)):
            tree.replace(
                [entry for entry in gone if bool(entry.rule.destination) is is_for_vips],
                [entry for entry in come if bool(entry.rule.destination) is is_for_vips],
            )
        top = (*self._vips.top, *self._node_ports.top)
        self.chains = {self._chain: top, **self._vips.chains, **self._node_ports.chains}


class _Tree:
    """Rules for places of one kind, sorted, and the chains that decide between them."""

    def __init__(self, prefix: str, places: Places) -> None:
        self._prefix = prefix
        self._places = places
        self._entries: list[_Entry] = []
        self._touched: Sequence[int] = ()
        """Places at which rules have changed since ``_branches`` was made."""
        self._branches: Mapping[str, _Branch] = {}
        self.top: Rules = ()
        """What stands in the chain that the tree is for."""
        self.chains: Mapping[str, Rules] = {}
        """All other chains."""

    def replace(self, gone: Sequence[_Entry], come: Sequence[_Entry]) -> None:
        """Take some rules out and others in."""
        if not gone and not come:
            return
        entries = self._entries
        for entry in gone:
            del entries[bisect_left(entries, entry[:-1])]
        entries += come
        entries.sort()
        self._touched = sorted(entry.place for entry in (*gone, *come))
        top = self._top()
        self.top = top.rules
        self._branches = {branch.chain: branch for branch in _below(top)}
        self.chains = {chain: branch.rules for chain, branch in self._branches.items()}

    def _top(self) -> _Branch:
        """What stands in the chain that the tree is for: a single jump, if one asks for all places.

        Most connections are to no Service. They should not be asked for each part of a network that
        they have nothing to do with.
        """
        count = len(self._entries)
        if count <= _FEW or not self._alike(0, count):
            return self._branch("", 0, count)
        jump, branch = self._region(0, count)
        return _Branch("", (jump,), (branch,))

    def _branch(self, chain: str, start: int, end: int) -> _Branch:
        """The chain that decides between the entries from ``start`` to before ``end``."""
        entries = self._entries
        if end - start <= _FEW or entries[start].place == entries[end - 1].place:
            return _Branch(chain, tuple([entry.rule for entry in entries[start:end]]))
        bits_left = self._places.bits - self._alike(start, end) - DIGIT_BITS
        rules: list[Rule] = []
        branches: list[_Branch] = []
        while start < end:
            following = (entries[start].place >> bits_left) + 1 << bits_left
            stop = bisect_left(entries, (following,), start, end)
            if stop - start == 1:
                rules.append(entries[start].rule)
            else:
                jump, branch = self._region(start, stop)
                rules.append(jump)
                branches.append(branch)
            start = stop
        return _Branch(chain, tuple(rules), tuple(branches))

    def _region(self, start: int, end: int) -> tuple[Rule, _Branch]:
        """The jump to the chain for some entries, and the chain: the former one if it may stay."""
        length = self._alike(start, end)
        bits_left = self._places.bits - length
        first = self._entries[start].place >> bits_left << bits_left
        region = self._places.region(first, length)
        chain = names.dispatch_chain(self._prefix, region.text)
        branch = self._branches.get(chain)
        if branch is None or self._is_touched(first, first + (1 << bits_left)):
            branch = self._branch(chain, start, end)
        return region.jump(chain), branch

    def _is_touched(self, first: int, following: int) -> bool:
        """Whether rules have changed at places from ``first`` to before ``following``."""
        position = bisect_left(self._touched, first)
        return position < len(self._touched) and self._touched[position] < following

    def _alike(self, start: int, end: int) -> int:
        """How many leading bits the places of some entries share, in whole digits."""
        differing = self._entries[start].place ^ self._entries[end - 1].place
        return (self._places.bits - differing.bit_length()) // DIGIT_BITS * DIGIT_BITS


def _entries(owner: ObjectKey, rules: Rules) -> Iterator[_Entry]:
    for number, rule in enumerate(rules):
        yield _Entry(place_of(rule), owner, number, rule)


def _below(top: _Branch) -> Iterator[_Branch]:
    """All branches below ``top``."""
    pending = list(top.branches)
    while pending:
        branch = pending.pop()
        yield branch
        pending += branch.branches
