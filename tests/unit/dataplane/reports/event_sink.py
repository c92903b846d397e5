# SPDX-License-Identifier: Apache-2.0
"""An API server that knows one Service and takes Events."""

from __future__ import annotations

import json
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Condition, Thread
from typing import Any, Final, Self
from urllib.parse import parse_qs, urlsplit

from rules.model import ObjectKey

PATIENCE_SECONDS: Final = 10.0
UID: Final = "0d6a6f5e-1f0a-4d3c-9a57-6f1f6a3f0a11"

Event = dict[str, Any]


class EventSink:
    """Listens on the loopback interface; a context manager."""

    def __init__(self, service: ObjectKey) -> None:
        self.changed = Condition()
        self.events: list[tuple[str, Event]] = []
        """The paths and contents that were taken."""
        self.refusals: list[HTTPStatus] = []
        """How the next Events are answered."""
        self.refused = 0
        self.asked = 0
        """How many requests for a Service came."""
        self.is_held = False
        """Whether requests wait."""
        self.services = {service}
        self._http = _Server(self)
        self._thread = Thread(target=self._http.serve_forever, args=(0.02,), name="event sink")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.hold(held=False)
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._http.server_port}"

    def hold(self, *, held: bool = True) -> None:
        """Let requests wait, or go on."""
        with self.changed:
            self.is_held = held
            self.changed.notify_all()

    def notes(self) -> list[str]:
        """The notes of the Events that were taken."""
        with self.changed:
            return [event["note"] for _, event in self.events]

    def wait_for(self, count: int) -> list[tuple[str, Event]]:
        """The Events, once there are ``count``."""
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.events) >= count, PATIENCE_SECONDS), (
                self.events
            )
            return list(self.events)


class _Server(ThreadingHTTPServer):
    # Closing waits for the handlers: no thread outlives the test that needed it.
    daemon_threads = False

    def __init__(self, sink: EventSink) -> None:
        self.sink = sink
        super().__init__(("127.0.0.1", 0), _Handler)


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        """List the Services that are asked for."""
        url = urlsplit(self.path)
        (selector,) = parse_qs(url.query)["fieldSelector"]
        key = ObjectKey(url.path.split("/")[4], selector.removeprefix("metadata.name="))
        sink = self.server.sink
        with sink.changed:
            sink.asked += 1
            sink.changed.wait_for(lambda: not sink.is_held, PATIENCE_SECONDS)
            items = [{"metadata": {"uid": UID}}] if key in sink.services else []
        self._answer(HTTPStatus.OK, {"metadata": {"resourceVersion": "1"}, "items": items})

    def do_POST(self) -> None:
        """Take an Event, or refuse it."""
        content = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        sink = self.server.sink
        with sink.changed:
            if sink.refusals:
                status = sink.refusals.pop(0)
                sink.refused += 1
            else:
                status = HTTPStatus.CREATED
                sink.events.append((self.path, content))
            sink.changed.notify_all()
        self._answer(status, {"code": status, "message": "refused on purpose"})

    def log_message(self, *_: object) -> None:
        """Say nothing: a test reads the events instead."""

    def _answer(self, status: HTTPStatus, content: Event) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
