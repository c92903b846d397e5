# SPDX-License-Identifier: Apache-2.0
"""Which chains of a table differ from before, found without looking at all of them."""

from __future__ import annotations

from collections.abc import Hashable, ItemsView, Iterator, Mapping, ValuesView
from functools import cached_property
from typing import NamedTuple

from rules.ir import Rules


class GroupedChains(Mapping[str, Rules]):
    """Chains in groups that are made, kept and replaced as wholes: those of one Service each.

    Two of them are compared by looking at the groups that are not the same objects, which are few
    where the chains are many.
    """

    def __init__(self, groups: Mapping[Hashable, Mapping[str, Rules]]) -> None:
        """No chain stands in two of ``groups``."""
        self._groups = groups

    @cached_property
    def _all(self) -> Mapping[str, Rules]:
        return {name: rules for group in self._groups.values() for name, rules in group.items()}

    def __getitem__(self, name: str) -> Rules:
        return self._all[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all)

    def __len__(self) -> int:
        return len(self._all)

    # What Mapping makes of these looks every chain up by its name.
    def items(self) -> ItemsView[str, Rules]:
        """See :class:`Mapping`."""
        return self._all.items()

    def values(self) -> ValuesView[Rules]:
        """See :class:`Mapping`."""
        return self._all.values()

    def difference(self, before: GroupedChains) -> Difference:
        """What to do where ``before`` stands."""
        old: dict[str, Rules] = {}
        new: dict[str, Rules] = {}
        for key, group in self._groups.items():
            former = before._groups.get(key, {})
            if former is not group:
                old.update(former)
                new.update(group)
        for key in before._groups.keys() - self._groups.keys():
            old.update(before._groups[key])
        return difference(old, new)


class Difference(NamedTuple):
    """What to do with the chains of a table."""

    changed: Mapping[str, Rules]
    """Chains that are new or have other rules than before."""
    stale: tuple[str, ...]
    """Chains that are no longer wanted."""


def difference(old: Mapping[str, Rules], new: Mapping[str, Rules]) -> Difference:
    """What to do with a table of ``old`` chains so that it has the ``new`` ones."""
    if isinstance(old, GroupedChains) and isinstance(new, GroupedChains):
        return new.difference(old)
    return Difference(
        {
            name: rules
            for name, rules in new.items()
            if (known := old.get(name)) is not rules and known != rules
        },
        tuple(name for name in old if name not in new),
    )
