# SPDX-License-Identifier: Apache-2.0
"""The thread that serves all clients."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from concurrent.futures import Future
from threading import Thread

from dataplane.serving.listener import Listener

_log = logging.getLogger(__name__)


class ServingThread:
    """Runs the listeners. Methods return at once, but for :meth:`stop`.

    It is a daemon: a process that ends without :meth:`stop` is not held up.
    """

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, name="serving", daemon=True)
        # A port may be left by one listener and taken by the next: what is asked first is done
        # first.
        self._turn = asyncio.Lock()
        self._listeners: set[Listener] = set()

    def start(self) -> None:
        """Begin to serve."""
        self._thread.start()

    def open(self, listener: Listener) -> None:
        """Let ``listener`` serve, as soon as it can have its port."""
        self._submit(self._open(listener))

    def close(self, listener: Listener) -> None:
        """Let ``listener`` serve no longer."""
        self._submit(self._close(listener))

    def stop(self) -> None:
        """Close all listeners and end the thread; nothing can be opened any more."""
        self._submit(self._finish())
        self._thread.join()
        self._loop.close()

    def _submit(self, work: Coroutine[None, None, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).add_done_callback(_log_defect)

    async def _open(self, listener: Listener) -> None:
        async with self._turn:
            self._listeners.add(listener)
            listener.open()

    async def _close(self, listener: Listener) -> None:
        async with self._turn:
            self._listeners.discard(listener)
            await listener.close()

    async def _finish(self) -> None:
        async with self._turn:
            for listener in self._listeners:
                await listener.close()
        self._loop.stop()


def _log_defect(done: Future[None]) -> None:
    # Nobody waits for the result: without this, a defect would be silent.
    if not done.cancelled() and (error := done.exception()) is not None:
        _log.error("serving failed", exc_info=error)
