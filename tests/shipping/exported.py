# SPDX-License-Identifier: Apache-2.0
"""The metrics that an agent exports, with their labels, whether something was counted or not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.metrics_core import Metric

from dataplane.reports.conntrack_use import ConntrackUse
from dataplane.reports.metrics import Metrics
from dataplane.reports.service_metrics import ServiceMetrics
from rules.ir import Family
from tests.address_plan import IPV4
from tests.builders import context, state

_SUFFIXES: Final[Mapping[str, Mapping[str, frozenset[str]]]] = {
    "counter": {"_total": frozenset()},
    "gauge": {"": frozenset()},
    "histogram": {"_bucket": frozenset({"le"}), "_count": frozenset(), "_sum": frozenset()},
}
"""What is added to the name of a metric in its samples, with the labels that it has besides."""


def exported_metrics(proc_sys: Path) -> Mapping[str, frozenset[str]]:
    """The labels of each sample that an agent may export, by its name.

    ``proc_sys`` is a folder for kernel settings, which need not be this machine's.
    """
    metrics = Metrics(Family)
    metrics.source_followed("services")
    metrics.register(_services())
    metrics.register(_conntrack(proc_sys))
    registry = metrics._registry
    found: dict[str, frozenset[str]] = {}
    for collector in registry._collector_to_names:
        if isinstance(collector, MetricWrapperBase):
            labels = frozenset(collector._labelnames)
            for suffix, more in _SUFFIXES[str(collector._type)].items():
                found[collector._name + suffix] = labels | more
        else:
            found.update(_sampled(collector.collect()))
    return found


def _sampled(metrics: Iterable[Metric]) -> Mapping[str, frozenset[str]]:
    return {
        sample.name: frozenset(sample.labels) for metric in metrics for sample in metric.samples
    }


def _services() -> ServiceMetrics:
    """The metrics of a Service for which nothing was counted."""
    services = ServiceMetrics(1, read=lambda _: ())
    one = state(IPV4)
    services.follow({one.service.key: one}, context(IPV4))
    return services


def _conntrack(proc_sys: Path) -> ConntrackUse:
    folder = proc_sys / "net/netfilter"
    folder.mkdir(parents=True)
    for file in ("nf_conntrack_count", "nf_conntrack_max"):
        (folder / file).write_text("1\n")
    return ConntrackUse(proc_sys)
