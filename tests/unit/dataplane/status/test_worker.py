# SPDX-License-Identifier: Apache-2.0
"""Work off the serving thread, bounded."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from http import HTTPStatus
from threading import Event, get_ident

import pytest

from dataplane.serving.http import Response
from dataplane.status import worker as worker_module
from dataplane.status.worker import Cached, Worker
from tests.unit.dataplane.clock import Clock

DONE = Response(HTTPStatus.OK, b"done")


@pytest.fixture
def worker() -> Iterator[Worker]:
    """A worker that ends with the test."""
    worker = Worker()
    yield worker
    worker.stop()


def test_work_is_done_elsewhere_one_at_a_time(worker: Worker) -> None:
    """Questions are answered on one thread, which is not the one that asks."""
    threads: list[int] = []

    def work() -> Response:
        threads.append(get_ident())
        return DONE

    async def ask() -> list[Response]:
        return await asyncio.gather(*(worker.answer(work) for _ in range(3)))

    assert asyncio.run(ask()) == [DONE] * 3
    assert len(set(threads)) == 1
    assert get_ident() not in threads


def test_too_many_questions_are_refused(worker: Worker) -> None:
    """Beyond some that wait, a question is answered with 503 at once; the others are answered."""
    go_on = Event()

    def work() -> Response:
        go_on.wait()
        return DONE

    async def ask() -> list[Response]:
        asked = [asyncio.ensure_future(worker.answer(work)) for _ in range(20)]
        refused, _ = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
        assert {one.result().status for one in refused} == {HTTPStatus.SERVICE_UNAVAILABLE}
        go_on.set()
        return await asyncio.gather(*asked)

    answers = asyncio.run(ask())
    assert sum(answer is DONE for answer in answers) == 16


def test_an_answer_that_takes_too_long(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who waits too long is told so, and the next question is answered all the same."""
    monkeypatch.setattr(worker_module, "_LONGEST_SECONDS", 0.05)
    go_on = Event()

    def work() -> Response:
        go_on.wait()
        return DONE

    async def ask() -> tuple[Response, Response]:
        late = await worker.answer(work)
        go_on.set()
        return late, await worker.answer(lambda: DONE)

    late, next_one = asyncio.run(ask())
    assert late.status is HTTPStatus.SERVICE_UNAVAILABLE
    assert b"busy" in late.body
    assert next_one is DONE


class SlowReading:
    """Takes a while by a clock that the test has in hand."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        self._clock = clock
        self._seconds = seconds
        self.count = 0

    def __call__(self) -> int:
        """How often this was called."""
        self._clock.seconds += self._seconds
        self.count += 1
        return self.count


@pytest.mark.parametrize(("seconds", "rest"), [(0.001, 1.0), (2.0, 18.0)])
def test_readings_rest_longer_than_they_take(seconds: float, rest: float) -> None:
    """A reading is good for a second, and for nine times as long as it took."""
    clock = Clock()
    reading = SlowReading(clock, seconds)
    cached = Cached(reading, clock.monotonic)

    assert cached.get() == cached.get() == 1
    clock.seconds += rest - 0.0001
    assert cached.get() == 1
    clock.seconds += 0.0002
    assert cached.get() == 2


def test_a_failed_reading_is_tried_again() -> None:
    """An error is told and not kept."""
    errors = [OSError("once")]

    def read() -> int:
        if errors:
            raise errors.pop()
        return 5

    cached = Cached(read)
    with pytest.raises(OSError, match="once"):
        cached.get()
    assert cached.get() == 5
