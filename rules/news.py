# SPDX-License-Identifier: Apache-2.0
"""What became different from one moment to the next: Services and endpoints, by name."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from typing import Final, NamedTuple

from rules.ir import Family
from rules.model import ObjectKey, ServiceState


class Difference(NamedTuple):
    """Names in the order of the alphabet."""

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed)


class News(NamedTuple):
    """What is new in one family."""

    services: Difference = Difference()
    """``ns/name``; changed if their own fields are others."""
    endpoints: Difference = Difference()
    """``ns/name address``; changed if their ports, readiness or hints are others."""

    @property
    def is_any(self) -> bool:
        """Whether anything is new."""
        return bool(self.services or self.endpoints)


_NONE: Final = News()
_Named = Mapping[str, Hashable]


def news(
    before: Mapping[ObjectKey, ServiceState],
    after: Mapping[ObjectKey, ServiceState],
    family: Family,
) -> News:
    """What ``after`` has that ``before`` had not, and the other way round.

    A state that is the same object in both is taken for unchanged.
    """
    if before is after:
        return _NONE
    concerned = [key for key, state in after.items() if before.get(key) is not state]
    added = sum(key not in before for key in concerned)
    if len(before) + added > len(after):
        concerned += [key for key in before if key not in after]
    old = [before[key] for key in concerned if key in before]
    new = [after[key] for key in concerned if key in after]
    return News(
        _difference(
            {str(state.service.key): state.service for state in old},
            {str(state.service.key): state.service for state in new},
        ),
        _difference(
            {name: value for state in old for name, value in _endpoints(state, family)},
            {name: value for state in new for name, value in _endpoints(state, family)},
        ),
    )


def _difference(before: _Named, after: _Named) -> Difference:
    return Difference(
        tuple(sorted(after.keys() - before.keys())),
        tuple(sorted(before.keys() - after.keys())),
        tuple(sorted(name for name in after.keys() & before.keys() if before[name] != after[name])),
    )


def _endpoints(state: ServiceState, family: Family) -> Iterator[tuple[str, Hashable]]:
    owner = str(state.service.key)
    for one in state.slices:
        if one.family is family:
            for endpoint in one.endpoints:
                yield f"{owner} {endpoint.address}", (one.ports, endpoint)
