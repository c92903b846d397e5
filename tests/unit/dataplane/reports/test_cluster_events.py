# SPDX-License-Identifier: Apache-2.0
"""Events that go to the cluster: their form, how often, and what becomes of failures."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from http import HTTPStatus

import pytest

from dataplane.reports.cluster_events import ClusterEventRecorder, EventLimits
from dataplane.reports.events import ServiceEvent
from dataplane.sources.api import ApiServer
from lab.waiting import wait_until
from rules.model import ObjectKey
from tests.unit.dataplane.clock import Clock
from tests.unit.dataplane.reports.event_sink import UID, EventSink

WEB = ObjectKey("default", "web")
TAKEN = ServiceEvent(WEB, "FailedToStartServiceHealthcheck", "Listen", "the port is taken")
QUICK = EventLimits(spacing=0.0, first_retry=0.01, longest_retry=0.02, attempts=3)

Open = Callable[[EventLimits], ClusterEventRecorder]


@pytest.fixture
def sink() -> Iterator[EventSink]:
    """An API server with the Service default/web."""
    with EventSink(WEB) as sink:
        yield sink


@pytest.fixture
def clock() -> Clock:
    """A clock at its start."""
    return Clock()


@pytest.fixture
def open_recorder(sink: EventSink, clock: Clock) -> Iterator[Open]:
    """Make recorders that tell ``sink``."""
    opened: list[ClusterEventRecorder] = []

    def make(limits: EventLimits) -> ClusterEventRecorder:
        recorder = ClusterEventRecorder(
            ApiServer(None, master=sink.url),
            "node-a",
            limits=limits,
            monotonic=clock.monotonic,
            now=clock.now,
        )
        recorder.start()
        opened.append(recorder)
        return recorder

    yield make
    sink.hold(held=False)
    for recorder in opened:
        recorder.stop()


def _note(number: int) -> ServiceEvent:
    return TAKEN._replace(note=f"note {number}")


def test_form_of_an_event(sink: EventSink, open_recorder: Open) -> None:
    """An event is an events.k8s.io/v1 Event about the Service, with all that the API asks for."""
    open_recorder(QUICK).record(TAKEN)
    ((path, event),) = sink.wait_for(1)
    assert path.partition("?")[0] == "/apis/events.k8s.io/v1/namespaces/default/events"
    assert event == {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"namespace": "default", "generateName": "web."},
        "eventTime": "2026-01-02T03:04:05.678901Z",
        "reportingController": "kube-dataplane",
        "reportingInstance": "kube-dataplane-node-a",
        "regarding": {
            "apiVersion": "v1",
            "kind": "Service",
            "namespace": "default",
            "name": "web",
            "uid": UID,
        },
        "type": "Warning",
        "reason": "FailedToStartServiceHealthcheck",
        "action": "Listen",
        "note": "the port is taken",
    }


def test_a_long_note_is_cut(sink: EventSink, open_recorder: Open) -> None:
    """The API takes 1024 bytes of a note: more are cut, and no character is cut in two."""
    open_recorder(QUICK).record(TAKEN._replace(note="é" * 1000 + "x"))
    ((_, event),) = sink.wait_for(1)
    assert event["note"] == "é" * 512


def test_the_same_event_is_told_once(sink: EventSink, open_recorder: Open, clock: Clock) -> None:
    """An event is not repeated before its time; another one is told meanwhile."""
    recorder = open_recorder(QUICK)
    recorder.record(TAKEN)
    clock.seconds = QUICK.repeat - 1
    recorder.record(TAKEN)
    recorder.record(_note(1))
    sink.wait_for(2)
    assert sink.notes() == [TAKEN.note, "note 1"]
    clock.seconds = QUICK.repeat
    recorder.record(TAKEN)
    sink.wait_for(3)
    assert sink.notes() == [TAKEN.note, "note 1", TAKEN.note]


def test_recording_never_waits_and_is_bounded(
    sink: EventSink, open_recorder: Open, caplog: pytest.LogCaptureFixture
) -> None:
    """While the server does not answer, a bounded number waits; the rest is only logged."""
    sink.hold()
    recorder = open_recorder(replace(QUICK, queued=3))
    recorder.record(_note(0))
    wait_until("the first event is under way", lambda: sink.asked == 1)
    for number in range(1, 20):
        recorder.record(_note(number))
    sink.hold(held=False)
    sink.wait_for(4)
    assert sink.notes() == ["note 0", "note 1", "note 2", "note 3"]
    assert caplog.text.count("too many events; not told to the cluster: service default/web") == 16


def test_events_are_spaced(sink: EventSink, open_recorder: Open) -> None:
    """After an event the recorder rests: the next one stays queued."""
    recorder = open_recorder(replace(QUICK, spacing=3600.0, queued=1))
    recorder.record(_note(1))
    sink.wait_for(1)
    recorder.record(_note(2))
    recorder.stop()
    assert sink.notes() == ["note 1"]


def test_a_passing_failure_is_overcome(sink: EventSink, open_recorder: Open) -> None:
    """An event that the server could not take is told again."""
    sink.refusals += [HTTPStatus.INTERNAL_SERVER_ERROR] * 2
    open_recorder(QUICK).record(TAKEN)
    sink.wait_for(1)
    assert sink.refused == 2


def test_a_lasting_failure_is_logged(
    sink: EventSink, open_recorder: Open, caplog: pytest.LogCaptureFixture
) -> None:
    """An event that is refused for good is logged, and does not hold up the next one."""
    sink.refusals += [HTTPStatus.FORBIDDEN] * QUICK.attempts
    recorder = open_recorder(QUICK)
    recorder.record(TAKEN)
    recorder.record(_note(1))
    sink.wait_for(1)
    assert sink.notes() == ["note 1"]
    assert (
        "not told to the cluster: service default/web: FailedToStartServiceHealthcheck: the port is"
        " taken: POST /apis/events.k8s.io/v1/namespaces/default/events: HTTP 403 refused on purpose"
    ) in caplog.text


def test_a_failed_event_may_come_again(
    sink: EventSink, open_recorder: Open, caplog: pytest.LogCaptureFixture
) -> None:
    """What was not told does not count as told."""
    sink.refusals += [HTTPStatus.FORBIDDEN] * QUICK.attempts
    recorder = open_recorder(QUICK)
    recorder.record(TAKEN)
    wait_until("the recorder has given up", lambda: "not told" in caplog.text)

    def is_told() -> bool:
        recorder.record(TAKEN)
        return bool(sink.notes())

    wait_until("the event is told", is_told)
    assert sink.notes() == [TAKEN.note]


def test_a_deleted_service_gets_no_event(sink: EventSink, open_recorder: Open) -> None:
    """Nobody is told of a Service that is gone."""
    recorder = open_recorder(QUICK)
    recorder.record(TAKEN._replace(service=ObjectKey("default", "gone")))
    recorder.record(TAKEN)
    ((_, event),) = sink.wait_for(1)
    assert event["regarding"]["name"] == "web"


def test_stopping_does_not_wait_for_retries(sink: EventSink, open_recorder: Open) -> None:
    """A recorder in the middle of its retries stops, and tells nothing more."""
    sink.refusals += [HTTPStatus.SERVICE_UNAVAILABLE] * 100
    recorder = open_recorder(replace(QUICK, first_retry=3600.0, longest_retry=3600.0))
    recorder.record(TAKEN)
    wait_until("the first try has failed", lambda: sink.refused == 1)
    recorder.stop()
    recorder.record(_note(1))
    assert (sink.refused, sink.notes()) == (1, [])
