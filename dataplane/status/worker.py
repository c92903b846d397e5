# SPDX-License-Identifier: Apache-2.0
"""A thread that answers what takes longer than a moment, one question at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from time import monotonic
from typing import Final, Generic, TypeVar

from dataplane.serving.http import Response

_Value = TypeVar("_Value")

_MOST_WAITING: Final = 16
_LONGEST_SECONDS: Final = 10.0
_LEAST_AGE_SECONDS: Final = 1.0
_REST_SHARE: Final = 9
"""Readings rest for so many times as long as one takes: a tenth of a core at most."""

_BUSY: Final = Response(HTTPStatus.SERVICE_UNAVAILABLE, b"too many questions at once; ask again\n")
_LATE: Final = Response(
    HTTPStatus.SERVICE_UNAVAILABLE,
    b"not answered within 10 seconds: the node is busy; ask again\n",
)


class Worker:
    """Does work on one thread. :meth:`answer` is for the serving thread's loop."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="status")
        self._waiting = 0

    async def answer(self, work: Callable[[], Response]) -> Response:
        """What ``work`` returns; 503 if there is too much to do, or it takes too long."""
        if self._waiting >= _MOST_WAITING:
            return _BUSY
        self._waiting += 1
        try:
            async with asyncio.timeout(_LONGEST_SECONDS):
                return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        except TimeoutError:
            return _LATE
        finally:
            self._waiting -= 1

    def stop(self) -> None:
        """Begin nothing more."""
        self._pool.shutdown(wait=False, cancel_futures=True)


class Cached(Generic[_Value]):
    """A reading that is taken anew when it is asked for, but not too often. For one thread."""

    def __init__(self, read: Callable[[], _Value], clock: Callable[[], float] = monotonic) -> None:
        self._read = read
        self._clock = clock
        self._last: tuple[float, _Value] | None = None
        """Until when it is good, and what it said."""

    def get(self) -> _Value:
        """The last reading, or a new one if that is too old."""
        started = self._clock()
        if self._last is not None and started < self._last[0]:
            return self._last[1]
        value = self._read()
        ended = self._clock()
        rest = max(_LEAST_AGE_SECONDS, _REST_SHARE * (ended - started))
        self._last = (ended + rest, value)
        return value
