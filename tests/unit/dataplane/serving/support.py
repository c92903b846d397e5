# SPDX-License-Identifier: Apache-2.0
"""What the tests of the servers share: free ports, clients, and questions with an answer."""

from __future__ import annotations

import socket
from email.message import Message
from http.client import HTTPConnection
from typing import Final, NamedTuple

from dataplane.serving.connection import Patience
from dataplane.serving.listener import ListenerTiming
from lab.waiting import wait_until
from rules.ir import Family

LOOPBACK: Final = {Family.IPV4: "127.0.0.1", Family.IPV6: "::1"}
_CLIENT_SECONDS: Final = 10.0

QUICK: Final = ListenerTiming(
    first_retry=0.02,
    longest_retry=0.05,
    patience=Patience(
        request=6 * _CLIENT_SECONDS, response=6 * _CLIENT_SECONDS, idle=6 * _CLIENT_SECONDS
    ),
)
"""For tests that wait until something is tried again. A connection that ends was ended on purpose:
the server's patience is longer than the client's."""
IMPATIENT: Final = ListenerTiming(patience=Patience(request=0.3, response=0.3, idle=0.3))
"""For tests that wait until patience ends, and for no others: 0.3 s pass on a busy machine."""


class Answer(NamedTuple):
    """What came back."""

    status: int
    headers: Message
    body: bytes


def free_port(address: str = LOOPBACK[Family.IPV4]) -> int:
    """A port that nobody listens on."""
    with occupied(address) as occupant:
        port: int = occupant.getsockname()[1]
    return port


def occupied(address: str = LOOPBACK[Family.IPV4], port: int = 0) -> socket.socket:
    """A socket that listens, by default on any free port."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return socket.create_server((address, port), family=family)


def connect(port: int, address: str = LOOPBACK[Family.IPV4]) -> socket.socket:
    """A connection to a server."""
    return socket.create_connection((address, port), timeout=_CLIENT_SECONDS)


def ask(
    port: int, path: str = "/", *, method: str = "GET", address: str = LOOPBACK[Family.IPV4]
) -> Answer:
    """The answer to one request, on a connection of its own."""
    client = HTTPConnection(address, port, timeout=_CLIENT_SECONDS)
    try:
        client.request(method, path)
        response = client.getresponse()
        return Answer(response.status, response.headers, response.read())
    finally:
        client.close()


def is_listening(port: int, address: str = LOOPBACK[Family.IPV4]) -> bool:
    """Whether a connection can be made."""
    try:
        connect(port, address).close()
    except ConnectionRefusedError:
        return False
    return True


def wait_until_listening(port: int, address: str = LOOPBACK[Family.IPV4]) -> None:
    """Return as soon as a connection can be made."""
    wait_until(f"{address}:{port} is listened on", lambda: is_listening(port, address))


def wait_until_closed(port: int, address: str = LOOPBACK[Family.IPV4]) -> None:
    """Return as soon as no connection can be made."""
    wait_until(f"{address}:{port} is closed", lambda: not is_listening(port, address))


def body_when_served(port: int, expected: bytes) -> bytes:
    """The answer, as soon as there is one that holds ``expected``.

    A port that is just closed may break off the connection.
    """
    found = b""

    def is_served() -> bool:
        nonlocal found
        try:
            found = ask(port).body
        except ConnectionError:
            return False
        return expected in found

    wait_until(f"port {port} answers with {expected!r}", is_served)
    return found


def everything(client: socket.socket) -> bytes:
    """All that the server sends until it closes the connection."""
    received = b""
    while data := client.recv(65536):
        received += data
    return received
