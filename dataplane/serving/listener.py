# SPDX-License-Identifier: Apache-2.0
"""A socket that clients connect to; if its port is taken, it is tried again until it is free."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import socket
from asyncio import Task, TimerHandle
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Final, NamedTuple

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_exponential

from dataplane.errors import DataplaneError
from dataplane.serving.connection import Connection, Patience
from dataplane.serving.http import Respond
from rules.addresses import endpoint_text

_log = logging.getLogger(__name__)

_BACKLOG: Final = 64
_REST_SECONDS: Final = 0.5
"""Before accepting is tried again: this process may have too many files open."""


class PortUnavailableError(DataplaneError):
    """Nobody can be served on a port: it is taken, or its address is not this machine's."""


class Endpoint(NamedTuple):
    """Where to listen."""

    address: str
    port: int
    is_every_family: bool = False
    """Serve clients of the other family too, if ``address`` is an unspecified one."""

    def __str__(self) -> str:
        return endpoint_text(self.address, self.port)


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenerTiming:
    """When a port is tried again, in seconds, and how patient its connections are."""

    first_retry: float = 0.5
    longest_retry: float = 5.0
    patience: Patience = field(default_factory=Patience)


class Listener:
    """Serves one endpoint. Only the serving thread calls it, but for :meth:`bind`."""

    def __init__(
        self,
        endpoint: Endpoint,
        respond: Respond,
        *,
        on_unavailable: Callable[[PortUnavailableError], None] = lambda _: None,
        timing: ListenerTiming | None = None,
        most_connections: int = 128,
    ) -> None:
        """Answer with ``respond``; ``on_unavailable`` is told the first time a try fails.

        Connections beyond ``most_connections`` are closed at once: one port that is flooded must
        not starve the others.
        """
        self._endpoint = endpoint
        self._respond = respond
        self._on_unavailable = on_unavailable
        self._timing = timing or ListenerTiming()
        self._most_connections = most_connections
        self._socket: socket.socket | None = None
        self._opening: Task[None] | None = None
        self._rest: TimerHandle | None = None
        self._connections: set[Task[None]] = set()

    def bind(self) -> None:
        """Take the port; clients wait until :meth:`open`.

        Raises:
            PortUnavailableError: that is not possible now.
        """
        self._socket = bound_socket(self._endpoint)

    def open(self) -> None:
        """Begin to serve, as soon as the port can be had."""
        self._opening = asyncio.get_running_loop().create_task(self._open())

    async def close(self) -> None:
        """Serve no longer, and end the connections there are."""
        if self._opening is not None:
            self._opening.cancel()
            await asyncio.wait([self._opening])
        if self._rest is not None:
            self._rest.cancel()
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()
        if self._connections:
            for connection in self._connections:
                connection.cancel()
            await asyncio.wait(self._connections)

    async def _open(self) -> None:
        retrying = AsyncRetrying(
            retry=retry_if_exception_type(PortUnavailableError),
            wait=wait_exponential(self._timing.first_retry, self._timing.longest_retry),
            before_sleep=self._report,
        )
        if self._socket is None:
            await retrying(self._bind)
        _log.info("listening on %s", self._endpoint)
        self._accept_from_now_on()

    async def _bind(self) -> None:
        self.bind()

    def _report(self, attempt: RetryCallState) -> None:
        error = attempt.outcome.exception() if attempt.outcome else None
        if attempt.attempt_number == 1 and isinstance(error, PortUnavailableError):
            _log.warning("%s; trying again until it can be had", error)
            self._on_unavailable(error)

    def _accept_from_now_on(self) -> None:
        # Not asyncio's own server: one that is closed just when a connection comes forgets that
        # connection, and leaves the client waiting.
        if self._socket is not None:
            asyncio.get_running_loop().add_reader(self._socket, self._accept, self._socket)

    def _accept(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        try:
            client, _ = listening.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        except OSError as error:
            _log.warning("cannot accept connections on %s: %s", self._endpoint, error.strerror)
            loop.remove_reader(listening)
            self._rest = loop.call_later(_REST_SECONDS, self._accept_from_now_on)
            return
        if len(self._connections) >= self._most_connections:
            client.close()
            return
        connection = loop.create_task(self._converse(client))
        self._connections.add(connection)
        connection.add_done_callback(self._connections.discard)
        # Also for a task that is cancelled before it begins.
        connection.add_done_callback(lambda _: client.close())

    async def _converse(self, client: socket.socket) -> None:
        reader, writer = await asyncio.open_connection(sock=client)
        await Connection(reader, writer, self._respond, self._timing.patience).serve()


def bound_socket(endpoint: Endpoint) -> socket.socket:
    """A socket that listens on ``endpoint``.

    Raises:
        PortUnavailableError: there is none to be had.
    """
    address = endpoint.address
    is_dual = (
        endpoint.is_every_family
        and ip_address(address).is_unspecified
        and socket.has_dualstack_ipv6()
    )
    if is_dual:
        address = "::"
    try:
        listening = socket.create_server(
            (address, endpoint.port),
            family=socket.AF_INET6 if ":" in address else socket.AF_INET,
            backlog=_BACKLOG,
            dualstack_ipv6=is_dual,
        )
    except OSError as error:
        # The error's own text repeats the address.
        reason = os.strerror(error.errno) if error.errno else str(error)
        advice = (
            "free the port or choose another"
            if error.errno == errno.EADDRINUSE
            else "choose another address"
        )
        raise PortUnavailableError(f"cannot listen on {endpoint}: {reason}; {advice}") from error
    # A connection that was given up before it is accepted must not be waited for.
    listening.settimeout(0)
    return listening
