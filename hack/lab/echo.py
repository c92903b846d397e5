# SPDX-License-Identifier: Apache-2.0
"""Servers that tell who answered and whom they saw, for many machines at once.

A socket belongs to the namespace it was created in, whoever serves it. So one thread of this
process serves all machines, and starting a server costs no process.

To each line (TCP) or datagram (UDP) the answer is one line: name, source address, source port.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterable
from contextlib import ExitStack
from threading import Thread
from typing import cast

from lab.place import Place


class EchoServers:
    """All echo servers of one lab, served by one thread that starts with the first of them."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: Thread | None = None
        self._servers: list[asyncio.Server] = []
        self._transports: set[asyncio.BaseTransport] = set()

    def listen(self, host: Place, port: int, addresses: Iterable[str]) -> None:
        """Answer as ``host.name`` on each of ``addresses``; works when this returns."""
        chosen = tuple(addresses)
        with host.entered(), ExitStack() as if_one_fails:
            streams, datagrams = (
                [if_one_fails.enter_context(_bound(kind, address, port)) for address in chosen]
                for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM)
            )
            if_one_fails.pop_all()
        start = self._start(host.name, streams, datagrams)
        asyncio.run_coroutine_threadsafe(start, self._running_loop()).result()

    def close(self) -> None:
        """Close all servers and connections, and end the thread."""
        if self._loop is None or self._thread is None:
            return
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._loop = self._thread = None

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            self._thread = Thread(target=self._loop.run_forever, name="echo servers", daemon=True)
            self._thread.start()
        return self._loop

    async def _start(
        self, name: str, streams: Iterable[socket.socket], datagrams: Iterable[socket.socket]
    ) -> None:
        loop = asyncio.get_running_loop()
        for stream in streams:
            server = await loop.create_server(
                lambda: _StreamEcho(name, self._transports), sock=stream
            )
            self._servers.append(server)
        for datagram in datagrams:
            await loop.create_datagram_endpoint(
                lambda: _DatagramEcho(name, self._transports), sock=datagram
            )

    async def _stop(self) -> None:
        for server in self._servers:
            server.close()
        for transport in self._transports:
            transport.close()
        # A closed transport closes its socket in the next turn of the loop.
        await asyncio.sleep(0)


class _Echo(asyncio.BaseProtocol):
    """What both protocols share: the answer, and the register of open transports.

    asyncio declares a new transport as the least that any transport is; hence the casts.
    """

    def __init__(self, name: str, transports: set[asyncio.BaseTransport]) -> None:
        self._name = name
        self._transports = transports

    def _answer(self, peer: tuple[str, int]) -> bytes:
        return f"{self._name} {peer[0]} {peer[1]}\n".encode()


class _StreamEcho(_Echo, asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transports.add(transport)

    def data_received(self, data: bytes) -> None:
        peer = self._transport.get_extra_info("peername")
        self._transport.write(self._answer(peer[:2]) * data.count(b"\n"))

    def connection_lost(self, _exc: Exception | None) -> None:
        self._transports.discard(self._transport)


class _DatagramEcho(_Echo, asyncio.DatagramProtocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)
        self._transports.add(transport)

    def datagram_received(self, _data: bytes, addr: tuple[str, int]) -> None:
        self._transport.sendto(self._answer(addr[:2]), addr)


def _bound(kind: socket.SocketKind, address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with ExitStack() as if_it_fails:
        bound = if_it_fails.enter_context(socket.socket(family, kind))
        bound.settimeout(0)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((address, port))
        if_it_fails.pop_all()
    return bound
