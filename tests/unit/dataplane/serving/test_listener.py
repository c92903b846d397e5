# SPDX-License-Identifier: Apache-2.0
"""Ports that are free, taken, or not to be had at all."""

from __future__ import annotations

import os
import resource
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http import HTTPStatus
from queue import SimpleQueue

import pytest

from dataplane.serving.http import Request, Response
from dataplane.serving.listener import Endpoint, Listener, PortUnavailableError
from dataplane.serving.loop import ServingThread
from lab.waiting import wait_until
from rules.ir import Family
from tests.unit.dataplane.serving.support import (
    LOOPBACK,
    QUICK,
    ask,
    body_when_served,
    connect,
    everything,
    free_port,
    is_listening,
    occupied,
    wait_until_closed,
    wait_until_listening,
)


def _page(_: Request) -> Response:
    return Response(HTTPStatus.OK, b"here")


@pytest.mark.parametrize("address", ["0.0.0.0", "::"])  # noqa: S104 - that is the point
def test_an_unspecified_address_can_serve_both_families(
    thread: ServingThread, address: str
) -> None:
    """Either unspecified address serves IPv4 and IPv6 clients if told so, as kube-proxy's do."""
    port = free_port()
    listener = Listener(Endpoint(address, port, is_every_family=True), _page)
    listener.bind()
    thread.open(listener)
    assert [ask(port, address=LOOPBACK[family]).body for family in Family] == [b"here", b"here"]


@pytest.mark.parametrize(
    ("address", "family", "other"),
    [("0.0.0.0", Family.IPV4, Family.IPV6), ("::", Family.IPV6, Family.IPV4)],  # noqa: S104 - see above
)
def test_an_unspecified_address_serves_its_own_family(
    thread: ServingThread, address: str, family: Family, other: Family
) -> None:
    """Otherwise it leaves the port of the other family to somebody else."""
    port = free_port()
    thread.open(Listener(Endpoint(address, port), _page))
    wait_until_listening(port, LOOPBACK[family])
    assert ask(port, address=LOOPBACK[family]).body == b"here"
    assert not is_listening(port, LOOPBACK[other])


@pytest.mark.parametrize("family", Family)
def test_a_taken_port_is_reported_once_and_had_when_free(
    thread: ServingThread, family: Family, caplog: pytest.LogCaptureFixture
) -> None:
    """A taken port is told of once, tried again, and served as soon as it is free."""
    address = LOOPBACK[family]
    told: SimpleQueue[PortUnavailableError] = SimpleQueue()
    with occupied(address) as occupant:
        port = occupant.getsockname()[1]
        thread.open(Listener(Endpoint(address, port), _page, on_unavailable=told.put, timing=QUICK))
        error = told.get(timeout=10)
        # The occupant's backlog shows that it still has the port.
        connect(port, address).close()
    wait_until_listening(port, address)
    assert ask(port, address=address).body == b"here"
    assert told.empty()
    assert str(error) == (
        f"cannot listen on {Endpoint(address, port)}: Address already in use; free the port or"
        " choose another"
    )
    assert caplog.text.count("Address already in use") == 1


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("127.0.0.1", "Address already in use; free the port or choose another"),
        ("192.0.2.1", "Cannot assign requested address; choose another address"),
    ],
)
def test_a_port_that_must_be_had(address: str, reason: str) -> None:
    """Binding by hand fails at once with an error that names the port and the reason."""
    with occupied() as occupant:
        endpoint = Endpoint(address, occupant.getsockname()[1])
        with pytest.raises(PortUnavailableError, match=rf"listen on {endpoint}: {reason}$"):
            Listener(endpoint, _page).bind()


def test_endpoints_as_text() -> None:
    """An IPv6 address stands in brackets."""
    assert [str(Endpoint("::1", 80)), str(Endpoint("127.0.0.1", 80))] == [
        "[::1]:80",
        "127.0.0.1:80",
    ]


def test_closing_ends_connections(thread: ServingThread) -> None:
    """A closed listener leaves neither its port nor idle connections open."""
    port = free_port()
    listener = Listener(Endpoint("127.0.0.1", port), _page)
    listener.bind()
    thread.open(listener)
    with connect(port) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert client.recv(1024).endswith(b"here")
        thread.close(listener)
        assert everything(client) == b""
    wait_until_closed(port)


def test_a_port_goes_from_one_listener_to_the_next(thread: ServingThread) -> None:
    """What is closed first is free for what is opened next, without another try."""
    port = free_port()
    told: SimpleQueue[PortUnavailableError] = SimpleQueue()
    wide = Listener(Endpoint("0.0.0.0", port), _page)  # noqa: S104 - to be narrowed
    narrow = Listener(Endpoint("127.0.0.1", port), _page, on_unavailable=told.put)
    thread.open(wide)
    wait_until_listening(port)
    thread.close(wide)
    thread.open(narrow)
    wait_until_closed(port, "127.0.0.2")
    assert body_when_served(port, b"here") == b"here"
    assert told.empty()


@contextmanager
def _no_file_to_spare() -> Iterator[None]:
    """Let this process have no more files open than it has."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    copies = [os.dup(0)]
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(copies) + 10, hard))
    try:
        with suppress(OSError):
            while True:
                copies.append(os.dup(0))
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for copy in copies:
            os.close(copy)


def test_too_many_open_files(thread: ServingThread, caplog: pytest.LogCaptureFixture) -> None:
    """A connection that cannot be had for want of files waits until there are some."""
    port = free_port()
    listener = Listener(Endpoint("127.0.0.1", port), _page)
    listener.bind()
    thread.open(listener)
    with socket.socket() as client:
        with _no_file_to_spare():
            client.connect(("127.0.0.1", port))
            wait_until("the shortage is noticed", lambda: "Too many open files" in caplog.text)
        client.settimeout(10)
        client.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert everything(client).endswith(b"here")


def test_stopping_gives_up_a_port_that_is_still_taken() -> None:
    """A thread with a listener that never got its port stops at once."""
    told: SimpleQueue[PortUnavailableError] = SimpleQueue()
    thread = ServingThread()
    thread.start()
    with occupied() as occupant:
        endpoint = Endpoint("127.0.0.1", occupant.getsockname()[1])
        thread.open(Listener(endpoint, _page, on_unavailable=told.put))
        told.get(timeout=10)
        thread.stop()
        assert is_listening(endpoint.port)
    with socket.create_server(("127.0.0.1", endpoint.port)):
        assert is_listening(endpoint.port)
