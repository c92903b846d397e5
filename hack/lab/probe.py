# SPDX-License-Identifier: Apache-2.0
"""Connecting from a machine of the lab to an echo server, and saying how that went."""

from __future__ import annotations

import errno
import os
import socket
from contextlib import closing, suppress
from dataclasses import dataclass
from enum import Enum
from http.client import HTTPConnection
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from lab.place import Place

_UNREACHABLE = (errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EACCES)


class Protocol(Enum):
    """What the echo servers speak."""

    TCP = socket.SOCK_STREAM
    UDP = socket.SOCK_DGRAM


@dataclass(frozen=True, slots=True)
class Target:
    """Where to knock."""

    address: str
    port: int
    protocol: Protocol = Protocol.TCP


@dataclass(frozen=True, slots=True)
class Answered:
    """A server answered."""

    by: str
    """The name of the machine that answered."""
    source: str
    """The address that the server saw the question come from."""
    source_port: int


@dataclass(frozen=True, slots=True)
class Refused:
    """The network or the other side said no: a reset, or ICMP port unreachable."""


@dataclass(frozen=True, slots=True)
class TimedOut:
    """Nothing came back in time: dropped on the way."""


@dataclass(frozen=True, slots=True)
class Unreachable:
    """There is no way to that address, or a router forbids it."""

    reason: str


Outcome = Answered | Refused | TimedOut | Unreachable


def probe(
    host: Place,
    target: Target,
    *,
    source: str | None = None,
    source_port: int = 0,
    mark: int = 0,
    timeout_seconds: float = 2.0,
) -> Outcome:
    """Ask the server at ``target`` once, from the address and port of the source if given.

    ``mark`` is put on the packets, for the host's own routing rules.
    """
    with Conversation(
        host, target, source=source, source_port=source_port, mark=mark
    ) as conversation:
        return conversation.ask(timeout_seconds)


class Conversation:
    """A client that asks the same server as often as it is told to, through one connection."""

    def __init__(
        self,
        host: Place,
        target: Target,
        *,
        source: str | None = None,
        source_port: int = 0,
        mark: int = 0,
    ) -> None:
        """See :func:`probe`; nothing is sent yet."""
        self._target = target
        self._is_connected = False
        family = socket.AF_INET6 if ":" in target.address else socket.AF_INET
        with host.entered():
            self._socket = socket.socket(family, target.protocol.value)
        try:
            if mark:
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, mark)
            if source is not None or source_port:
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                self._socket.bind((source or "", source_port))
        except OSError:
            self._socket.close()
            raise

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the connection."""
        self.close()

    def ask(self, timeout_seconds: float = 2.0) -> Outcome:
        """Ask once, after connecting if that has not been done."""
        self._socket.settimeout(timeout_seconds)
        try:
            if not self._is_connected:
                self._socket.connect((self._target.address, self._target.port))
                self._is_connected = True
            # Own rules took the datagram away: what is received says whether they refused it.
            with suppress(PermissionError):
                self._socket.sendall(b"who?\n")
            return _understood(self._socket.recv(1024))
        except TimeoutError:
            return TimedOut()
        except (ConnectionRefusedError, ConnectionResetError, BrokenPipeError):
            return Refused()
        except OSError as error:
            if error.errno not in _UNREACHABLE:
                raise
            return Unreachable(os.strerror(error.errno))

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()


def probe_times(
    count: int,
    host: Place,
    target: Target,
    *,
    source: str | None = None,
    timeout_seconds: float = 2.0,
) -> tuple[Outcome, ...]:
    """Ask ``count`` times, each time through a new connection; see :func:`probe`."""
    return tuple(
        probe(host, target, source=source, timeout_seconds=timeout_seconds) for _ in range(count)
    )


def fetch(host: Place, url: str, timeout_seconds: float) -> tuple[int, str]:
    """Status and body that HTTP has for a URL; raises ``OSError`` if nobody answers."""
    parts = urlsplit(url)
    with host.entered(), closing(HTTPConnection(parts.netloc, timeout=timeout_seconds)) as http:
        http.request("GET", parts.path)
        answer = http.getresponse()
        return answer.status, answer.read().decode()


def _understood(answer: bytes) -> Outcome:
    if not answer:
        return Refused()
    name, source, source_port = answer.decode().split()
    return Answered(by=name, source=source, source_port=int(source_port))
