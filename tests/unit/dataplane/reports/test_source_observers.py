# SPDX-License-Identifier: Apache-2.0
"""What of a source is counted and told, on the way to the observer behind."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from dataplane.errors import UnusableObjectError
from dataplane.reports.events import ServiceEvent
from dataplane.reports.metrics import Metrics
from dataplane.reports.source_observers import CountingObserver, EventObserver
from dataplane.sources.base import SourceObserver
from rules.ir import Family
from rules.model import ObjectKey
from tests.builders import WEB
from tests.unit.dataplane.clock import Clock
from tests.unit.dataplane.sources.support import Witness

BAD_SERVICE = UnusableObjectError(
    where="/api/v1/services", kind="Service", key=WEB, field="spec.type", reason="unknown"
)
BAD_SLICE = UnusableObjectError(
    where="/x",
    kind="EndpointSlice",
    key=ObjectKey("default", "web-1"),
    field="endpoints",
    reason="wrong",
)


class Recorded(list[ServiceEvent]):
    """An EventRecorder that keeps the events."""

    def record(self, event: ServiceEvent) -> None:
        """See EventRecorder."""
        self.append(event)


def _let_everything_happen(observer: SourceObserver) -> None:
    observer.listed("Service", 3)
    observer.skipped(BAD_SERVICE)
    observer.skipped(BAD_SLICE)
    observer.interrupted("Service", OSError("away"))
    observer.resumed("Service")


def _assert_all_seen(witness: Witness) -> None:
    assert witness.lists == [("Service", 3)]
    assert witness.skips == [BAD_SERVICE, BAD_SLICE]
    assert witness.interruptions == [("Service", "away")]
    assert witness.resumptions == ["Service"]


def _own(metrics: Metrics) -> dict[tuple[str, str], float]:
    return {
        (sample.name, sample.labels["kind"]): sample.value
        for family in text_string_to_metric_families(metrics.text().decode())
        for sample in family.samples
        if "kind" in sample.labels
    }


def test_counting_passes_everything_on() -> None:
    """The observer behind is told of all that is counted."""
    witness = Witness()
    _let_everything_happen(CountingObserver(Metrics(Family), witness))
    _assert_all_seen(witness)


def test_what_is_counted() -> None:
    """Skipped objects count by kind, interruptions by what was followed."""
    metrics = Metrics(Family)
    _let_everything_happen(CountingObserver(metrics, Witness()))
    assert _own(metrics) == {
        ("dataplane_objects_skipped_total", "Service"): 1,
        ("dataplane_objects_skipped_total", "EndpointSlice"): 1,
        ("dataplane_watch_restarts_total", "Service"): 1,
        ("dataplane_source_age_seconds", "Service"): 0,
    }


def test_a_source_ages_while_it_is_interrupted() -> None:
    """From an interruption until the source is listed again what is known grows old."""
    clock = Clock()
    metrics = Metrics(Family, monotonic=clock.monotonic)
    observer = CountingObserver(metrics, Witness())
    observer.interrupted("Service", OSError("away"))
    clock.seconds = 9.0
    assert _own(metrics)["dataplane_source_age_seconds", "Service"] == 9
    observer.listed("Service", 1)
    assert _own(metrics)["dataplane_source_age_seconds", "Service"] == 0


def test_events_for_services_that_cannot_be_used() -> None:
    """The owner of a Service is told; the observer behind is told of everything."""
    recorded, witness = Recorded(), Witness()
    _let_everything_happen(EventObserver(recorded, witness))
    _assert_all_seen(witness)
    assert [(event.service, event.reason) for event in recorded] == [
        (ObjectKey("default", "web"), "UnusableField")
    ]
