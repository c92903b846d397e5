# SPDX-License-Identifier: Apache-2.0
"""One connection to the fake API server."""

from __future__ import annotations

import gzip
import json
import socket
import struct
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from time import monotonic
from typing import Final, NamedTuple, Protocol
from urllib.parse import parse_qsl, urlsplit

from tests.apiserver.faults import Faults
from tests.apiserver.store import RESOURCE_OF_KIND, GoneError, JsonObject, Selector, Store


class Request(NamedTuple):
    """A request that came, whatever was answered."""

    path: str
    query: dict[str, str]

    @property
    def is_list(self) -> bool:
        """Whether it begins a list."""
        return "watch" not in self.query and "continue" not in self.query


class Behind(Protocol):
    """What the connections share, and what outlives them."""

    store: Store
    faults: Faults
    token: str
    requests: list[Request]
    bookmarks: list[tuple[str, int]]
    bookmark_seconds: float | None


_COMPRESSED_FROM: Final = 128 * 1024
"""Bytes: as the real one, whose watches are never compressed."""
_NO_LINGER: Final = struct.pack("ii", 1, 0)


class HttpServer(ThreadingHTTPServer):
    """The listening socket, and all connections that it accepted."""

    # Closing waits for the handlers: no thread outlives the test that needed it.
    daemon_threads = False

    def __init__(self, port: int, behind: Behind) -> None:
        self.behind = behind
        self.is_closing = False
        self._connections: set[socket.socket] = set()
        super().__init__(("127.0.0.1", port), Handler)

    def get_request(self) -> tuple[socket.socket, object]:
        """Accept a connection and remember it."""
        connection, address = super().get_request()
        with self.behind.store.changed:
            self._connections.add(connection)
        return connection, address

    def shutdown_request(self, request: object) -> None:
        """Close a connection."""
        with self.behind.store.changed:
            self._connections.discard(request)
        super().shutdown_request(request)  # type: ignore[arg-type] # as above

    def close(self, *, abruptly: bool = False) -> None:
        """Stop listening and break all connections; ``abruptly``: the kernel forgets them, too."""
        self.shutdown()
        with self.behind.store.changed:
            self.is_closing = True
            self.behind.store.changed.notify_all()
            for connection in self._connections:
                # The client may have been quicker.
                with suppress(OSError):
                    if abruptly:
                        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
                    connection.shutdown(socket.SHUT_RDWR)
        self.server_close()


class Handler(BaseHTTPRequestHandler):
    """Answers GET requests."""

    protocol_version = "HTTP/1.1"
    server: HttpServer

    def do_GET(self) -> None:
        """Answer a list or a watch."""
        url = urlsplit(self.path)
        query = dict(parse_qsl(url.query))
        faults = self.server.behind.faults
        with self.server.behind.store.changed:
            self.server.behind.requests.append(Request(url.path, query))
            self.server.behind.store.changed.notify_all()
            begin = faults.watch_round, len(faults.injected)
            failure = faults.failures.pop(0) if faults.failures else None
        if self.headers.get("authorization") != f"Bearer {self.server.behind.token}":
            failure = HTTPStatus.UNAUTHORIZED
        if failure is not None:
            self._answer(failure, _status(failure, "this is a fault on purpose"))
        elif url.path not in RESOURCE_OF_KIND.values():
            self._answer(HTTPStatus.NOT_FOUND, _status(HTTPStatus.NOT_FOUND, "no such resource"))
        elif query.get("watch") == "true":
            self._watch(url.path, query, begin)
        else:
            self._list(url.path, query)

    def log_message(self, *_: object) -> None:
        """Say nothing: a test reads the requests instead."""

    def handle(self) -> None:
        """Take a broken connection for the end of it."""
        try:
            super().handle()
        except OSError:
            self.close_connection = True

    def _list(self, path: str, query: dict[str, str]) -> None:
        token = query.get("continue", "")
        if self.server.behind.faults.pages_expire:
            self.server.behind.store.forget_pages()
        try:
            page = self.server.behind.store.page(
                path, Selector.parse(query), int(query.get("limit", "0")), token
            )
        except GoneError:
            self._answer(HTTPStatus.GONE, _status(HTTPStatus.GONE, "the page is gone"))
        else:
            self._answer(HTTPStatus.OK, page)

    def _watch(self, path: str, query: dict[str, str], begin: tuple[int, int]) -> None:
        store, selector = self.server.behind.store, Selector.parse(query)
        after = int(query["resourceVersion"])
        with store.changed:
            try:
                store.events(path, selector, after)
            except GoneError:
                is_gone = True
            else:
                is_gone = False
        if is_gone:
            self._answer(HTTPStatus.GONE, _status(HTTPStatus.GONE, "too old resource version"))
            return
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self._stream(path, selector, after, float(query["timeoutSeconds"]), begin)
        self._chunk(b"")

    def _stream(
        self, path: str, selector: Selector, after: int, seconds: float, begin: tuple[int, int]
    ) -> None:
        behind, faults = self.server.behind, self.server.behind.faults
        latest = monotonic() + seconds
        watch_round, injected = begin
        while True:
            lines: list[bytes] = []
            with behind.store.changed:
                if self.server.is_closing or faults.watch_round != watch_round:
                    return
                if monotonic() > latest:
                    return
                if not faults.silent:
                    lines, after, is_over = self._lines(path, selector, after)
                    lines += faults.injected[injected:]
                    injected = len(faults.injected)
                    latest = 0 if is_over else latest
                is_quiet = not lines and not behind.store.changed.wait(
                    behind.bookmark_seconds or seconds
                )
                version = behind.store.version
            if is_quiet and not faults.silent:
                self._bookmark(path, version)
            for line in lines:
                self._chunk(line + b"\n")

    def _bookmark(self, path: str, version: int) -> None:
        line = _event("BOOKMARK", {"metadata": {"resourceVersion": str(version)}})
        self._chunk(line + b"\n")
        with self.server.behind.store.changed:
            self.server.behind.bookmarks.append((path, version))
            self.server.behind.store.changed.notify_all()

    def _lines(self, path: str, selector: Selector, after: int) -> tuple[list[bytes], int, bool]:
        """What to send now, where to go on, and whether the watch is over; under the lock."""
        try:
            events = self.server.behind.store.events(path, selector, after)
        except GoneError:
            error = _event("ERROR", _status(HTTPStatus.GONE, "too old resource version"))
            return [error], after, True
        return (
            [_event(kind, one) for _, kind, one in events],
            self.server.behind.store.version,
            False,
        )

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))

    def _answer(self, code: int, content: JsonObject) -> None:
        body = json.dumps(content).encode()
        self.send_response(code)
        if len(body) > _COMPRESSED_FROM and self.headers.get("accept-encoding") == "gzip":
            body = gzip.compress(body, compresslevel=1)
            self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _event(kind: str, one: JsonObject) -> bytes:
    return json.dumps({"type": kind, "object": one}).encode()


def _status(code: int, message: str) -> JsonObject:
    return {"kind": "Status", "apiVersion": "v1", "code": code, "message": message}
