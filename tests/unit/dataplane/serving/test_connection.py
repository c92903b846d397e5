# SPDX-License-Identifier: Apache-2.0
"""What becomes of a client's connection, well-behaved or not."""

from __future__ import annotations

from http import HTTPStatus
from http.client import RemoteDisconnected

import pytest

from dataplane.serving.http import Request, Response
from dataplane.serving.listener import Endpoint, Listener, ListenerTiming
from dataplane.serving.loop import ServingThread
from lab.waiting import wait_until
from tests.unit.dataplane.serving.support import (
    IMPATIENT,
    QUICK,
    ask,
    connect,
    everything,
    free_port,
)

LARGE = 8 * 1024 * 1024


def _page(request: Request) -> Response:
    if request.path == "/defect":
        raise RuntimeError("a defect on purpose")
    if request.path == "/large":
        return Response(HTTPStatus.OK, bytes(LARGE))
    text = f"{request.method} {request.path}"
    return Response(HTTPStatus.OK, text.encode(), headers=(("X-Extra", "yes"),))


@pytest.fixture
def port(thread: ServingThread) -> int:
    """The port of a server with more patience than its clients."""
    return _served(thread, QUICK)


@pytest.fixture
def impatient_port(thread: ServingThread) -> int:
    """The port of a server that is soon out of patience."""
    return _served(thread, IMPATIENT)


def _served(thread: ServingThread, timing: ListenerTiming, most_connections: int = 100) -> int:
    port = free_port()
    listener = Listener(
        Endpoint("127.0.0.1", port), _page, timing=timing, most_connections=most_connections
    )
    listener.bind()
    thread.open(listener)
    return port


def _exchange(port: int, sent: bytes) -> bytes:
    with connect(port) as client:
        client.sendall(sent)
        return everything(client)


def test_answer_in_full(port: int) -> None:
    """An answer has its status, type, length, date and headers; the query is not in the path."""
    answer = ask(port, "/some/path?query=1")
    assert (answer.status, answer.body) == (200, b"GET /some/path")
    headers = ("Content-Type", "X-Content-Type-Options", "Content-Length", "X-Extra")
    assert [answer.headers[name] for name in headers] == [
        "text/plain; charset=utf-8",
        "nosniff",
        "14",
        "yes",
    ]
    assert answer.headers["Date"].endswith(" GMT")


def test_head_has_no_body(port: int) -> None:
    """HEAD is answered with the headers of GET alone."""
    answer = ask(port, "/", method="HEAD")
    assert (answer.status, answer.headers["Content-Length"], answer.body) == (200, "6", b"")


def test_a_connection_serves_many_requests(port: int) -> None:
    """Requests may follow each other on one connection, even before the answer to the first."""
    sent = (
        b"GET /a HTTP/1.1\r\nHost: x\r\n\r\nGET /b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    )
    received = _exchange(port, sent)
    assert received.count(b"HTTP/1.1 200 OK\r\n") == 2
    assert received.index(b"GET /a") < received.index(b"GET /b")


def test_an_old_client_is_answered_and_closed(port: int) -> None:
    """HTTP/1.0, as some load balancers speak it, gets one answer and the end."""
    received = _exchange(port, b"OPTIONS / HTTP/1.0\r\n\r\n")
    assert received.startswith(b"HTTP/1.1 200 OK\r\n")
    assert received.endswith(b"OPTIONS /")


def test_a_body_ends_the_connection(port: int) -> None:
    """A request with a body is answered without waiting for it, and the connection closed."""
    received = _exchange(port, b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n")
    assert received.endswith(b"POST /")
    assert b"\r\nConnection: close\r\n" in received


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", b"400 "),
        (b"GET / HTTP/1.1\r\n\r\n", b"400 "),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 20000, b"431 "),
    ],
    ids=["TLS", "no host", "too long"],
)
def test_what_is_no_request_is_refused(port: int, sent: bytes, status: bytes) -> None:
    """A client that speaks no HTTP, or says too much, is told so and closed; others are served."""
    assert _exchange(port, sent).startswith(b"HTTP/1.1 " + status)
    assert ask(port).status == 200


@pytest.mark.parametrize(
    "sent", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"], ids=["none", "half", "one"]
)
def test_an_idle_connection_is_closed(impatient_port: int, sent: bytes) -> None:
    """A client that sends nothing, half a request, or nothing more is closed after a while."""
    assert _exchange(impatient_port, sent).count(b"HTTP/1.1 200") == sent.count(b"\r\n\r\n")


def test_a_slow_request_is_given_up(impatient_port: int) -> None:
    """Sending byte after byte does not buy more time than the whole request has."""
    with connect(impatient_port) as client:
        client.settimeout(0.05)
        is_closed = False
        for _ in range(200):
            client.sendall(b"G")
            try:
                is_closed = client.recv(1) == b""
            except TimeoutError:
                continue
            except ConnectionError:
                is_closed = True
            break
    assert is_closed


def test_a_large_answer_arrives_whole(port: int) -> None:
    """An answer that is larger than the kernel's buffers arrives to its last byte."""
    assert ask(port, "/large").body == bytes(LARGE)
    received = _exchange(port, b"GET /large HTTP/1.0\r\n\r\n")
    assert received.partition(b"\r\n\r\n")[2] == bytes(LARGE)


def test_a_client_that_does_not_read_is_given_up(thread: ServingThread) -> None:
    """An answer that is not taken is dropped, and with it the connection."""
    port = _served(thread, IMPATIENT, most_connections=1)
    with connect(port) as client:
        client.sendall(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
        wait_until("the only connection is free", lambda: _is_served(port))
        received = everything(client)
    assert received.startswith(b"HTTP/1.1 200 OK\r\n")
    assert len(received) < LARGE


def test_too_many_connections(thread: ServingThread) -> None:
    """A connection too many is closed at once; when another ends, there is room again."""
    port = _served(thread, QUICK, most_connections=1)
    with connect(port) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert client.recv(1024)
        assert not _is_served(port)
    wait_until("there is room", lambda: _is_served(port))


def _is_served(port: int) -> bool:
    try:
        return ask(port).status == HTTPStatus.OK
    except (ConnectionError, RemoteDisconnected):
        return False


def test_a_defect_of_a_page_is_one_answer(port: int, caplog: pytest.LogCaptureFixture) -> None:
    """A page that fails is answered with 500 and logged; the server goes on."""
    assert ask(port, "/defect").status == 500
    assert "GET /defect could not be answered" in caplog.text
    assert ask(port).status == 200
