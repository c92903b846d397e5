# SPDX-License-Identifier: Apache-2.0
"""Metrics of Services, read from the kernel's counters when somebody asks for them."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from threading import Lock
from typing import Final, NamedTuple

from prometheus_client.metrics_core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from dataplane.errors import KernelError
from dataplane.kernel.counters import counted_rules
from dataplane.reports.family_names import FAMILY_NAMES
from dataplane.reports.observation import SyncObserver, SyncOutcome
from dataplane.traffic.totals import ServiceTotals
from rules.context import FamilyContext
from rules.ir import Family
from rules.model import ObjectKey, ServiceState
from rules.traffic.accounts import Purpose, service_ports
from rules.traffic.tally import CountedRule

_log = logging.getLogger(__name__)

_LEAST_AGE_SECONDS: Final = 1.0
"""Of a reading before another one is taken, however many ask."""
_LABELS: Final = ("ip_family", "namespace", "service")
_DROPS: Final = {
    Purpose.OUTSIDE_SOURCE_RANGES: "source_ranges",
    Purpose.NO_LOCAL_ENDPOINTS: "no_local_endpoints",
}


class _Served(NamedTuple):
    """Services that have rules, and what else these depend on."""

    services: Mapping[ObjectKey, ServiceState]
    context: FamilyContext


def _read(family: Family) -> Iterable[CountedRule]:
    return counted_rules(family, with_endpoints=False)


class ServiceMetrics(SyncObserver, Collector):
    """A collector for prometheus_client, which learns from syncs which Services there are.

    A sync's thread and the one that answers scrapes meet here.
    """

    def __init__(
        self,
        limit: int,
        read: Callable[[Family], Iterable[CountedRule]] = _read,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Up to ``limit`` Services have series of their own; ``read`` reads a family's counters."""
        self._read = read
        self._monotonic = monotonic
        self._lock = Lock()
        self._totals = ServiceTotals(limit)
        self._latest: dict[Family, _Served] = {}
        self._followed: dict[Family, _Served] = {}
        self._read_at: dict[Family, float] = {}

    def succeeded(self, outcome: SyncOutcome) -> None:
        """See :class:`SyncObserver`."""
        self.follow(outcome.picture.services, outcome.context)

    def follow(self, services: Mapping[ObjectKey, ServiceState], context: FamilyContext) -> None:
        """The rules of one family serve these Services now."""
        family = context.family
        is_first = family not in self._latest
        # Without the lock: a sync need not wait for a reading.
        self._latest[family] = _Served(services, context)
        if is_first:
            with self._lock:
                # What is counted from now on is counted by this agent.
                self._take_reading(family)

    def collect(self) -> Iterator[Metric]:
        """See prometheus_client's Collector."""
        connections = CounterMetricFamily(
            "dataplane_service_connections",
            "New connections that were sent to endpoints of a Service",
            labels=_LABELS,
        )
        drops = CounterMetricFamily(
            "dataplane_service_dropped_packets",
            "Packets to a Service that were dropped",
            labels=(*_LABELS, "reason"),
        )
        rejects = CounterMetricFamily(
            "dataplane_service_rejected_packets",
            "Packets to a Service that were rejected since it has no endpoints",
            labels=_LABELS,
        )
        with self._lock:
            for family in tuple(self._latest):
                self._take_reading(family)
                for key, totals in self._totals.read(family).items():
                    labels = _labels(family, key)
                    connections.add_metric(labels, totals[Purpose.SERVED])
                    rejects.add_metric(labels, totals[Purpose.REJECTED])
                    for purpose, reason in _DROPS.items():
                        drops.add_metric((*labels, reason), totals[purpose])
        yield from (connections, drops, rejects)

    def _take_reading(self, family: Family) -> None:
        """Read a family's counters; its totals stay as they are if that fails."""
        now = self._monotonic()
        last = self._read_at.get(family)
        if last is not None and now - last < _LEAST_AGE_SECONDS:
            return
        try:
            rules = self._read(family)
        except KernelError as error:
            _log.warning("metrics of Services are those of the last reading: %s", error)
            return
        self._read_at[family] = now
        served = self._latest[family]
        if served != self._followed.get(family):
            self._totals.follow(family, service_ports(served.services.values(), served.context))
        self._followed[family] = served
        self._totals.add(family, rules)


def _labels(family: Family, key: ObjectKey) -> tuple[str, str, str]:
    return FAMILY_NAMES[family], key.namespace, key.name
