# SPDX-License-Identifier: Apache-2.0
"""Metrics of Services: when counters are read, and what is told if they cannot be."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from dataplane.errors import ConflictError
from dataplane.reports.conntrack_use import ConntrackUse
from dataplane.reports.service_metrics import ServiceMetrics
from rules.ir import Family, Rule, TableName
from rules.model import ServiceState
from rules.traffic.accounts import service_ports
from rules.traffic.tally import CountedRule
from tests.address_plan import IPV4
from tests.builders import WEB, context, local, state
from tests.counting import as_counted
from tests.unit.dataplane.clock import Clock

_STATE: ServiceState = state(IPV4, local(IPV4.local_pod))
_LABELS = {"ip_family": "IPv4", "namespace": "default", "service": "web"}
_OTHERS = {"ip_family": "IPv4", "namespace": "", "service": "other"}


class _Kernel:
    """Counters that a test sets."""

    def __init__(self) -> None:
        self.connections = 0
        self.readings = 0
        self.is_busy = False

    def read(self, _: Family) -> Iterable[CountedRule]:
        self.readings += 1
        if self.is_busy:
            raise ConflictError("changed while it was read")
        (port,) = service_ports([_STATE], context(IPV4))
        rule = Rule(port.plan.cluster_chain)
        return [as_counted(TableName.NAT, "KUBE-SERVICES", rule, self.connections)]


@pytest.fixture
def clock() -> Clock:
    """A clock at its start."""
    return Clock()


@pytest.fixture
def kernel() -> _Kernel:
    """A kernel that has counted nothing."""
    return _Kernel()


@pytest.fixture
def registry(kernel: _Kernel, clock: Clock) -> CollectorRegistry:
    """What an agent exports that serves one Service."""
    metrics = ServiceMetrics(1, kernel.read, clock.monotonic)
    metrics.follow({WEB: _STATE}, context(IPV4))
    registry = CollectorRegistry()
    registry.register(metrics)
    clock.seconds += 60
    return registry


def _connections(registry: CollectorRegistry) -> float | None:
    return registry.get_sample_value("dataplane_service_connections_total", _LABELS)


def test_a_scrape_reads_the_counters(registry: CollectorRegistry, kernel: _Kernel) -> None:
    """What was counted since the agent's start is told; of drops and refusals there are none."""
    kernel.connections = 5

    assert _connections(registry) == 5
    assert registry.get_sample_value("dataplane_service_connections_total", _OTHERS) == 0
    assert registry.get_sample_value("dataplane_service_rejected_packets_total", _LABELS) == 0
    for reason in ("source_ranges", "no_local_endpoints"):
        labels = {**_LABELS, "reason": reason}
        assert registry.get_sample_value("dataplane_service_dropped_packets_total", labels) == 0


def test_counters_are_not_read_more_often_than_once_a_second(
    registry: CollectorRegistry, kernel: _Kernel, clock: Clock
) -> None:
    """However many ask; later they are read again."""
    _connections(registry)
    before = kernel.readings
    kernel.connections = 5

    clock.seconds += 0.9
    assert _connections(registry) == 0
    assert kernel.readings == before

    clock.seconds += 0.1
    assert _connections(registry) == 5


def test_totals_stay_if_counters_cannot_be_read(
    registry: CollectorRegistry, kernel: _Kernel, clock: Clock
) -> None:
    """The next scrape makes up for it."""
    kernel.connections = 5
    assert _connections(registry) == 5

    kernel.connections, kernel.is_busy = 8, True
    clock.seconds += 60
    assert _connections(registry) == 5

    kernel.is_busy = False
    assert _connections(registry) == 8


def test_conntrack_is_told_of_if_there_is_any(tmp_path: Path) -> None:
    """Entries and limit are read anew by each scrape; without the module there is neither."""
    registry = CollectorRegistry()
    registry.register(ConntrackUse(tmp_path))
    assert registry.get_sample_value("dataplane_conntrack_entries") is None

    folder = tmp_path / "net/netfilter"
    folder.mkdir(parents=True)
    (folder / "nf_conntrack_max").write_text("1000\n")
    for count in (3, 4):
        (folder / "nf_conntrack_count").write_text(f"{count}\n")
        assert registry.get_sample_value("dataplane_conntrack_entries") == count
        assert registry.get_sample_value("dataplane_conntrack_limit") == 1000
