# SPDX-License-Identifier: Apache-2.0
"""Connecting from a machine of the lab to an echo server, and saying how that went."""

from __future__ import annotations

import errno
import os
import socket
from dataclasses import dataclass
from enum import Enum

from lab.host import Host

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
    host: Host, target: Target, *, source: str | None = None, timeout_seconds: float = 2.0
) -> Outcome:
    """Ask the server at ``target`` once, from the address ``source`` if that is given."""
    family = socket.AF_INET6 if ":" in target.address else socket.AF_INET
    with host.entered():
        client = socket.socket(family, target.protocol.value)
    with client:
        client.settimeout(timeout_seconds)
        try:
            if source is not None:
                client.bind((source, 0))
            client.connect((target.address, target.port))
            client.sendall(b"who?\n")
            return _understood(client.recv(1024))
        except TimeoutError:
            return TimedOut()
        except (ConnectionRefusedError, ConnectionResetError):
            return Refused()
        except OSError as error:
            if error.errno not in _UNREACHABLE:
                raise
            return Unreachable(os.strerror(error.errno))


def probe_times(
    count: int,
    host: Host,
    target: Target,
    *,
    source: str | None = None,
    timeout_seconds: float = 2.0,
) -> tuple[Outcome, ...]:
    """Ask ``count`` times, each time through a new connection; see :func:`probe`."""
    return tuple(
        probe(host, target, source=source, timeout_seconds=timeout_seconds) for _ in range(count)
    )


def _understood(answer: bytes) -> Outcome:
    if not answer:
        return Refused()
    name, source, source_port = answer.decode().split()
    return Answered(by=name, source=source, source_port=int(source_port))
