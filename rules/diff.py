# SPDX-License-Identifier: Apache-2.0
"""The fewest edits from one chain to another.

Edits go by rule, not by chain, so that a rule which stays keeps its packet and byte counters.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Hashable, Sequence
from typing import Generic, NamedTuple, TypeVar

Value = TypeVar("Value", bound=Hashable)


class Edit(NamedTuple, Generic[Value]):
    """One step; its position counts from 0 in the chain as the steps before have left it."""

    position: int
    value: Value | None
    """What to insert there; None to delete what stands there."""


def edits(old: Sequence[Value], new: Sequence[Value]) -> list[Edit[Value]]:
    """Steps that turn ``old`` into ``new`` and leave as many values as possible untouched.

    The number of steps is the smallest possible if no value stands twice in a sequence, as in
    chains. Takes O(n log n).
    """
    if list(old) == list(new):
        return []
    kept = _kept_positions(old, new)
    steps: list[Edit[Value]] = []
    position = 0
    old_position = 0
    for new_position, value in enumerate(new):
        keep = kept.get(new_position)
        if keep is None:
            steps.append(Edit(position, value))
        else:
            steps.extend(Edit(position, None) for _ in range(keep - old_position))
            old_position = keep + 1
        position += 1
    steps.extend(Edit(position, None) for _ in range(len(old) - old_position))
    return steps


def with_hooks(present: Sequence[Value], hooks: Sequence[Value]) -> list[Value]:
    """``present`` with each of ``hooks`` exactly once and in order, and nothing else changed.

    Hooks that are there stay where they are, wherever that is: a rule that somebody put before them
    was meant to come first. Missing ones go next to the others, or to the top if there are none.
    """
    rank = {hook: index for index, hook in enumerate(hooks)}
    ours = [position for position, value in enumerate(present) if value in rank]
    staying = {ours[index] for index in _longest_increasing([rank[present[p]] for p in ours])}
    result = [
        value for position, value in enumerate(present) if value not in rank or position in staying
    ]
    following: Value | None = None
    for hook in reversed(hooks):
        if hook not in result:
            result.insert(_place(result, hooks[: rank[hook]], following), hook)
        following = hook
    return result


def _place(result: Sequence[Value], preceding: Sequence[Value], following: Value | None) -> int:
    """Where a missing hook goes: before the next hook, else after the previous, else on top."""
    if following is not None:
        return result.index(following)
    for hook in reversed(preceding):
        if hook in result:
            return result.index(hook) + 1
    return 0


def _kept_positions(old: Sequence[Value], new: Sequence[Value]) -> dict[int, int]:
    """Positions in ``new`` of the values that stay, each with its position in ``old``."""
    start = 0
    end = min(len(old), len(new))
    while start < end and old[start] == new[start]:
        start += 1
    kept = {position: position for position in range(start)}
    old_end, new_end = len(old), len(new)
    while old_end > start and new_end > start and old[old_end - 1] == new[new_end - 1]:
        old_end -= 1
        new_end -= 1
        kept[new_end] = old_end
    places: defaultdict[Value, list[int]] = defaultdict(list)
    for position in range(old_end - 1, start - 1, -1):
        places[old[position]].append(position)
    pairs = [
        (position, places[new[position]].pop())
        for position in range(start, new_end)
        if places.get(new[position])
    ]
    for index in _longest_increasing([old_position for _, old_position in pairs]):
        new_position, old_position = pairs[index]
        kept[new_position] = old_position
    return kept


def _longest_increasing(numbers: Sequence[int]) -> list[int]:
    """Indices of a longest strictly increasing subsequence (patience sorting)."""
    tails: list[int] = []
    tail_indices: list[int] = []
    previous: list[int] = []
    for index, number in enumerate(numbers):
        pile = bisect_left(tails, number)
        previous.append(tail_indices[pile - 1] if pile else -1)
        if pile == len(tails):
            tails.append(number)
            tail_indices.append(index)
        else:
            tails[pile] = number
            tail_indices[pile] = index
    result: list[int] = []
    index = tail_indices[-1] if tail_indices else -1
    while index >= 0:
        result.append(index)
        index = previous[index]
    return result[::-1]
