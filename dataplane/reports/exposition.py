# SPDX-License-Identifier: Apache-2.0
"""Metrics as text, the way kube-proxy writes it.

prometheus_client differs in two points, of which one would double the series of a scrape, and the
other would give equal buckets different names on nodes with kube-proxy and nodes with this agent.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.samples import Sample

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


def metrics_text(registry: CollectorRegistry) -> bytes:
    """All metrics of ``registry``, as a body of CONTENT_TYPE."""
    return generate_latest(_AsGoPrints(registry))


class _AsGoPrints:
    """A registry as kube-proxy shows it: integral bounds without a point, no creation times."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def collect(self) -> Iterator[Metric]:
        for metric in self._registry.collect():
            created = f"{metric.name}_created"
            shown = Metric(metric.name, metric.documentation, metric.type)
            shown.samples = [
                _with_go_bound(sample) for sample in metric.samples if sample.name != created
            ]
            yield shown


def _with_go_bound(sample: Sample) -> Sample:
    bound = sample.labels.get("le", "")
    if not bound.endswith(".0"):
        return sample
    return sample._replace(labels={**sample.labels, "le": bound.removesuffix(".0")})
