# SPDX-License-Identifier: Apache-2.0
"""Totals by Service since the agent started, for a limited number of Services.

The kernel's counters begin at zero with a rule that is new; totals only grow. Each Service beyond
the limit is counted together with the others beyond it, since each total becomes a series of its
own in somebody's Prometheus.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Final

from rules.ir import Family
from rules.model import ObjectKey
from rules.traffic.accounts import Account, Accounts, Purpose, ServicePortView
from rules.traffic.tally import CountedRule, Tally, increments, tally, totals

OTHERS: Final = ObjectKey("", "other")
"""In place of all Services beyond the limit; no real one is without a namespace."""

Totals = Mapping[Purpose, int]


class ServiceTotals:
    """Adds up what one reading after the other says. Not thread-safe."""

    def __init__(self, limit: int) -> None:
        """Keep up to ``limit`` Services apart."""
        self._limit = limit
        self._ports: dict[Family, list[ServicePortView]] = {}
        self._accounts: dict[Family, Accounts] = {}
        self._readings: dict[Family, Tally] = {}
        self._chosen: set[ObjectKey] = set()
        self._totals: defaultdict[tuple[Family, ObjectKey], Counter[Purpose]] = defaultdict(Counter)

    def follow(self, family: Family, ports: Iterable[ServicePortView]) -> None:
        """From now on these service ports are there."""
        self._ports[family] = list(ports)
        self._accounts[family] = Accounts(self._ports[family])

    def add(self, family: Family, rules: Iterable[CountedRule]) -> None:
        """Take what ``rules`` have counted; the first time that is what totals begin from."""
        reading = tally(rules, self._accounts[family])
        before = self._readings.get(family)
        self._readings[family] = reading
        counted = totals(reading) if before is None else increments(before, reading)
        by_service = self._by_service(family, counted)
        self._choose(by_service)
        if before is None:
            return
        for key, added in by_service.items():
            self._totals[family, key if key in self._chosen else OTHERS].update(added)

    def read(self, family: Family) -> Mapping[ObjectKey, Totals]:
        """The totals of the Services that are kept apart, and of the others together."""
        present = {port.key for port in self._ports.get(family, ())}
        keys = [*sorted(self._chosen & present), OTHERS]
        return {key: self._totals[family, key] for key in keys}

    def _by_service(
        self, family: Family, counted: Mapping[Account, int]
    ) -> Mapping[ObjectKey, Counter[Purpose]]:
        keys = {port.hash: port.key for port in self._ports[family]}
        found: defaultdict[ObjectKey, Counter[Purpose]] = defaultdict(Counter)
        for account, packets in counted.items():
            if account.purpose is not Purpose.TRANSLATED:
                found[keys[account.port]][account.purpose] += packets
        return found

    def _choose(self, by_service: Mapping[ObjectKey, Counter[Purpose]]) -> None:
        """Give places that are free to the busiest Services that have none.

        Who has a place keeps it as long as he is there: a series that changed between a Service's
        own and the common one would tell of neither.
        """
        present = {port.key for ports in self._ports.values() for port in ports}
        for key in self._chosen - present:
            for family in self._ports:
                self._totals.pop((family, key), None)
        self._chosen &= present
        free = self._limit - len(self._chosen)
        candidates = present - self._chosen
        if free <= 0 or not candidates:
            return

        def business(key: ObjectKey) -> tuple[int, ObjectKey]:
            return -by_service[key].total() if key in by_service else 0, key

        self._chosen.update(sorted(candidates, key=business)[:free])
