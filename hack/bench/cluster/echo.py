# SPDX-License-Identifier: Apache-2.0
"""The server behind all endpoints: accepts every connection and sends every datagram back.

It runs in a process of its own, so that nothing but its own work delays an answer, and answers from
the address that it was asked at: one machine has the addresses of all endpoints.
"""

from __future__ import annotations

import select
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection
from struct import Struct
from typing import Final

from bench.errors import BenchError
from lab import Host
from lab.namespaces import entered

_BACKLOG: Final = 1024
_REST_SECONDS: Final = 0.01
_IP_PKTINFO: Final = 8
"""Of linux/in.h: Python has the name from 3.14 on only."""
_PACKET_INFO: Final = Struct("=I4s4s")
"""Interface, the address to answer from, the address that was asked."""
_START_SECONDS: Final = 30.0


@contextmanager
def serving(machine: Host, port: int) -> Iterator[None]:
    """Answer TCP and UDP on ``port`` of all addresses that ``machine`` has."""
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(machine.namespace, port, theirs), daemon=True)
    process.start()
    theirs.close()
    try:
        if not ours.poll(_START_SECONDS):
            raise BenchError(f"no server on {machine.name} after {_START_SECONDS:g} s")
        ours.recv()
        yield
    finally:
        process.kill()
        process.join()


def _serve(namespace: str, port: int, started: Connection) -> None:
    with (
        entered(namespace),
        socket.socket(socket.AF_INET, socket.SOCK_STREAM) as stream,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams,
    ):
        stream.bind(("0.0.0.0", port))  # noqa: S104 - of a machine of the lab
        stream.listen(_BACKLOG)
        stream.settimeout(0)
        datagrams.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)
        datagrams.bind(("0.0.0.0", port))  # noqa: S104 - likewise
        started.send(None)
        while True:
            # Nobody waits for connections: waking a process up would take longer than a connection.
            readable, _, _ = select.select([datagrams], [], [], _REST_SECONDS)
            if readable:
                _send_back(datagrams)
            _take_all(stream)


def _take_all(stream: socket.socket) -> None:
    with suppress(BlockingIOError):
        while True:
            stream.accept()[0].close()


def _send_back(datagrams: socket.socket) -> None:
    data, ancillary, _, sender = datagrams.recvmsg(1024, socket.CMSG_SPACE(_PACKET_INFO.size))
    _, _, asked = _PACKET_INFO.unpack(ancillary[0][2])
    answer_from = _PACKET_INFO.pack(0, asked, bytes(4))
    datagrams.sendmsg([data], [(socket.IPPROTO_IP, _IP_PKTINFO, answer_from)], 0, sender)
