# SPDX-License-Identifier: Apache-2.0
"""Edits from one chain to another, and hooks among rules that are not ours."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.diff import Edit, edits, with_hooks

chains = st.lists(st.integers(0, 12), max_size=14)
distinct_chains = st.lists(st.integers(0, 20), unique=True, max_size=14)


def applied(old: Sequence[int], steps: Sequence[Edit[int]]) -> list[int]:
    """What ``steps`` make of ``old``, one after another, as the kernel's library takes them."""
    chain = list(old)
    for position, value in steps:
        if value is None:
            del chain[position]
        else:
            chain.insert(position, value)
    return chain


def longest_common(one: Sequence[int], other: Sequence[int]) -> int:
    """Length of the longest common subsequence, by the textbook's table."""
    lengths = [0] * (len(other) + 1)
    for value in one:
        diagonal = 0
        for position, candidate in enumerate(other, start=1):
            best = diagonal + 1 if value == candidate else max(lengths[position - 1 : position + 1])
            diagonal, lengths[position] = lengths[position], best
    return lengths[-1]


@given(chains, chains)
def test_edits_lead_to_the_new_chain(old: list[int], new: list[int]) -> None:
    """Whatever the chains are, the edits turn one into the other."""
    assert applied(old, edits(old, new)) == new


@given(distinct_chains, distinct_chains)
def test_edits_are_the_fewest(old: list[int], new: list[int]) -> None:
    """Every rule that can keep its place keeps it, and with it its counters."""
    kept = longest_common(old, new)

    assert len(edits(old, new)) == len(old) + len(new) - 2 * kept


@given(chains)
def test_equal_chains_need_no_edit(chain: list[int]) -> None:
    """Nothing is done where nothing changed."""
    assert edits(chain, list(chain)) == []


def test_one_inserted_rule_is_one_edit() -> None:
    """A new service in the middle of a long chain costs one insertion."""
    old = list(range(1000))
    new = [*old[:500], 5000, *old[500:]]

    assert edits(old, new) == [Edit(500, 5000)]


@given(st.text("abcABC", max_size=12))
def test_hooks_stand_once_and_in_order(present: str) -> None:
    """Whatever stood there, each hook (upper case) stands once, and strangers stay as they are."""
    result = with_hooks(present, "ABC")

    assert [hook for hook in result if hook.isupper()] == list("ABC")
    assert [other for other in result if other.islower()] == [
        other for other in present if other.islower()
    ]


@pytest.mark.parametrize(
    ("present", "expected"),
    [("", "ABC"), ("xyz", "ABCxyz"), ("xAyBzC", "xAyBzC"), ("xC", "xABC"), ("xAy", "xABCy")],
)
def test_hooks_go_to_the_top_or_to_their_neighbours(present: str, expected: str) -> None:
    """Hooks that are there stay where they are, and missing ones go beside them."""
    assert "".join(with_hooks(present, "ABC")) == expected


@given(st.text("abABC", max_size=12))
def test_hooks_settle_at_once(present: str) -> None:
    """A chain that has its hooks is not changed again."""
    settled = with_hooks(present, "ABC")

    assert with_hooks(settled, "ABC") == settled
