# SPDX-License-Identifier: Apache-2.0
"""Differences between tables, found by group and chain by chain."""

from __future__ import annotations

from collections.abc import Hashable, Mapping

from hypothesis import given
from hypothesis import strategies as st

from rules.chain_groups import GroupedChains, difference
from rules.ir import Rule, Rules

Groups = Mapping[Hashable, Mapping[str, Rules]]

_contents: st.SearchStrategy[Rules] = st.sampled_from([(), (Rule("A"),), (Rule("B"), Rule("A"))])


@st.composite
def groups(draw: st.DrawFn) -> Groups:
    """Few groups of few chains, so that two of them have much in common."""
    return {
        group: {f"{group}-{chain}": draw(_contents) for chain in draw(st.sets(st.integers(0, 2)))}
        for group in draw(st.sets(st.integers(0, 3)))
    }


def flat(chains: Groups) -> dict[str, Rules]:
    """All chains, without their groups."""
    return {name: rules for group in chains.values() for name, rules in group.items()}


@given(groups(), groups(), st.sets(st.integers(0, 3)))
def test_groups_differ_as_their_chains_do(old: Groups, new: Groups, shared: set[int]) -> None:
    """Groups that are the same objects are not looked at, and it makes no difference."""
    new = {**new, **{key: group for key, group in old.items() if key in shared}}

    by_group = difference(GroupedChains(old), GroupedChains(new))
    by_chain = difference(flat(old), flat(new))

    assert by_group.changed == by_chain.changed
    assert set(by_group.stale) == set(by_chain.stale)


@given(groups(), groups())
def test_the_difference_leads_to_the_new_chains(old: Groups, new: Groups) -> None:
    """Whoever does what a difference says has the new chains."""
    changed, stale = difference(flat(old), flat(new))
    result = {**flat(old), **changed}
    for name in stale:
        del result[name]

    assert result == flat(new)


def test_grouped_chains_are_a_mapping_of_all() -> None:
    """Names lead to their rules whatever group they are in."""
    chains = GroupedChains({1: {"A": ()}, 2: {"B": (Rule("A"),)}})

    assert dict(chains) == {"A": (), "B": (Rule("A"),)}
    assert len(chains) == 2
    assert "B" in chains
    assert "C" not in chains
