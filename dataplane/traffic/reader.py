# SPDX-License-Identifier: Apache-2.0
"""The traffic of service ports, by one reading of the kernel's counters after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from time import monotonic

from dataplane.kernel.counters import counted_rules
from dataplane.node_ports import context_of
from dataplane.settings import Settings
from dataplane.state import Picture
from rules.context import FamilyContext
from rules.ir import Family
from rules.traffic.accounts import Accounts, ServicePortView, service_ports
from rules.traffic.report import Readings, ServiceTraffic, service_traffic
from rules.traffic.tally import Tally, tally


class TrafficReader:
    """Reads the counters of some families; rates are those since the reading before."""

    def __init__(
        self,
        settings: Settings,
        families: Iterable[Family],
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._settings = settings
        self._families = {family: _FamilyReader(family, clock) for family in families}

    def read(self, picture: Picture) -> tuple[ServiceTraffic, ...]:
        """The service ports of ``picture`` by name, with what the kernel has counted for them.

        Raises:
            KernelError: the tables cannot be read.
        """
        found = [
            one
            for family, reader in self._families.items()
            for one in reader.read(picture, self._context(picture, family))
        ]
        return tuple(sorted(found, key=lambda one: (one.name, one.protocol)))

    def _context(self, picture: Picture, family: Family) -> FamilyContext:
        # On which addresses node ports are served makes no difference to what is counted.
        return context_of(self._settings, picture, family, lambda: picture.node.addresses)


class _FamilyReader:
    """Reads one family, and remembers what it read last."""

    def __init__(self, family: Family, clock: Callable[[], float]) -> None:
        self._family = family
        self._clock = clock
        self._last: tuple[float, Tally] | None = None

    def read(self, picture: Picture, context: FamilyContext) -> tuple[ServiceTraffic, ...]:
        ports: list[ServicePortView] = list(service_ports(picture.services.values(), context))
        rules = counted_rules(self._family)
        now, last = self._clock(), tally(rules, Accounts(ports))
        before, self._last = self._last, (now, last)
        if before is None:
            return service_traffic(self._family, ports, Readings(last))
        return service_traffic(self._family, ports, Readings(last, before[1], now - before[0]))
