# SPDX-License-Identifier: Apache-2.0
"""What an earlier agent left that stays although it is not wanted.

Its chains may be all that serves a Service whose new rules cannot be programmed, or not yet.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from rules import names

_ENTRY_CHAINS: Final = frozenset({names.SERVICES, names.NODE_PORTS, names.EXTERNAL_SERVICES})
"""Chains that have rules of all Services; what stands in others is one Service's, or fixed."""


@dataclass(frozen=True, slots=True)
class Retention:
    """Chains of service ports, and the rules that lead to them, that stay beside desired ones."""

    hashes: frozenset[str] = frozenset()
    """Of service ports, as in the names of their chains."""
    is_total: bool = False
    """Whether the chains of all service ports stay, and all rules in chains that they share."""

    def __bool__(self) -> bool:
        return self.is_total or bool(self.hashes)

    def includes(self, other: Retention) -> bool:
        """Whether nothing goes that stays under ``other``."""
        return self.is_total or (not other.is_total and self.hashes >= other.hashes)

    def chains(
        self, present: Iterable[str], targets_of: Callable[[str], Iterable[str]]
    ) -> Collection[str]:
        """Those of ``present`` that stay; ``targets_of`` tells where a chain's rules lead."""
        candidates = {chain for chain in present if names.is_obsolete_unless_wanted(chain)}
        if self.is_total:
            return candidates
        staying: set[str] = set()
        found = {chain for chain in candidates if names.hash_of(chain) in self.hashes}
        while found:
            chain = found.pop()
            staying.add(chain)
            found |= candidates.intersection(targets_of(chain)) - staying
        return staying

    def merge(
        self,
        chain: str,
        desired: Sequence[bytes],
        present: Sequence[bytes],
        target_of: Callable[[bytes], str],
    ) -> Sequence[bytes]:
        """The ``desired`` entries of ``chain``, and those of the ``present`` ones that stay.

        These stand behind the desired ones, but before the jumps for node ports, which are last.
        """
        if not self or not self._has_rules_to_keep(chain):
            return desired
        wanted = frozenset(desired)
        staying = [
            entry
            for entry in present
            if entry not in wanted and self._keeps_rule_to(target_of(entry))
        ]
        if not staying:
            return desired
        end = next(
            (at for at, entry in enumerate(desired) if target_of(entry) == names.NODE_PORTS),
            len(desired),
        )
        return [*desired[:end], *staying, *desired[end:]]

    def _has_rules_to_keep(self, chain: str) -> bool:
        """Whether ``chain`` is one that Services share.

        Chains for a range of VIPs come and go with the Services there: what stays for good is moved
        from them to the chain that they belong to.
        """
        return chain in _ENTRY_CHAINS or (self.is_total and names.is_dispatch_chain(chain))

    def _keeps_rule_to(self, target: str) -> bool:
        if self.is_total:
            return target != names.NODE_PORTS
        return names.hash_of(target) in self.hashes


NOTHING: Final = Retention()
EVERYTHING: Final = Retention(is_total=True)
