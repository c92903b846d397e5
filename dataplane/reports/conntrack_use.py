# SPDX-License-Identifier: Apache-2.0
"""How full the kernel's table of connections is: at its limit new connections are dropped."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector


class ConntrackUse(Collector):
    """A collector of conntrack's entries and of their limit, read when asked for."""

    def __init__(self, proc_sys: Path) -> None:
        """Read them from the kernel's settings at ``proc_sys``."""
        self._folder = proc_sys / "net/netfilter"

    def collect(self) -> Iterator[Metric]:
        """See prometheus_client's Collector; nothing without conntrack."""
        for name, text, file in (
            ("entries", "Connections that conntrack knows now", "nf_conntrack_count"),
            ("limit", "Connections that conntrack can know", "nf_conntrack_max"),
        ):
            metric = GaugeMetricFamily(f"dataplane_conntrack_{name}", text)
            try:
                metric.add_metric((), int((self._folder / file).read_text()))
            except OSError:
                continue
            yield metric
