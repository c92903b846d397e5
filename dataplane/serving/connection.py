# SPDX-License-Identifier: Apache-2.0
"""One client's connection: HTTP/1.1 by h11, with a bound on all that the client can do.

Bodies of requests mean nothing to any of our pages: what comes with one ends the connection after
the answer.
"""

from __future__ import annotations

import asyncio
import logging
from asyncio import StreamReader, StreamWriter
from dataclasses import dataclass
from email.utils import formatdate
from http import HTTPStatus
from typing import Final

import h11

from dataplane.serving.http import Request, Respond, Response

_log = logging.getLogger(__name__)

_CHUNK: Final = 4096
_LONGEST_HEAD: Final = 16384
_BROKEN: Final = Response(HTTPStatus.INTERNAL_SERVER_ERROR, b"internal error; see the log\n")


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long a client may keep us, in seconds."""

    request: float = 5.0
    """From the connection, or a later request's first byte, until the whole head is here."""
    response: float = 5.0
    """Until a response is taken."""
    idle: float = 120.0
    """Between requests: longer than scrapes are apart."""


class _Ended(Exception):  # noqa: N818 - no error: clients come and go
    """The client is done, or took too long."""


class Connection:
    """Answers the requests that come on one connection, one after the other."""

    def __init__(
        self, reader: StreamReader, writer: StreamWriter, respond: Respond, patience: Patience
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._respond = respond
        self._patience = patience
        # Draining is then waiting until all is on its way, not until little is left.
        writer.transport.set_write_buffer_limits(high=0)
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=_LONGEST_HEAD)

    async def serve(self) -> None:
        """Answer until one side has enough, then close."""
        try:
            await self._answer_all()
        except (_Ended, OSError, TimeoutError):
            pass
        finally:
            if self._writer.transport.get_write_buffer_size():
                # A client that does not read must not hold its answer in our memory.
                self._writer.transport.abort()
            self._writer.close()

    async def _answer_all(self) -> None:
        patience = self._patience.request
        while True:
            try:
                head = await self._next_head(patience)
            except h11.RemoteProtocolError as error:
                status = HTTPStatus(error.error_status_hint)
                refusal = Response(status, f"{status} {status.phrase}\n".encode())
                await self._send(refusal, is_last=True, with_body=True)
                return
            request = _request(head)
            is_last = not self._is_complete()
            answer = await self._answer(request)
            await self._send(answer, is_last=is_last, with_body=request.method != "HEAD")
            if is_last or self._http.our_state is not h11.DONE:
                return
            self._http.start_next_cycle()
            patience = self._patience.idle

    async def _next_head(self, patience: float) -> h11.Request:
        clock = asyncio.get_running_loop()
        latest = clock.time() + patience
        while True:
            event = self._http.next_event()
            if isinstance(event, h11.Request):
                return event
            if event is not h11.NEED_DATA:
                raise _Ended
            async with asyncio.timeout_at(latest):
                data = await self._reader.read(_CHUNK)
            self._http.receive_data(data)
            latest = min(latest, clock.time() + self._patience.request)

    def _is_complete(self) -> bool:
        """Whether the request has no body, so that another request can follow."""
        try:
            return isinstance(self._http.next_event(), h11.EndOfMessage)
        except h11.RemoteProtocolError:
            return False

    async def _answer(self, request: Request) -> Response:
        try:
            answer = self._respond(request)
            return answer if isinstance(answer, Response) else await answer
        except Exception:  # noqa: BLE001 - one page's defect must not end the connections of others
            _log.exception("%s %s could not be answered", request.method, request.path)
            return _BROKEN

    async def _send(self, response: Response, *, is_last: bool, with_body: bool) -> None:
        headers = [
            ("Date", formatdate(usegmt=True)),
            ("Content-Type", response.content_type),
            ("X-Content-Type-Options", "nosniff"),
            ("Content-Length", str(len(response.body))),
            *response.headers,
        ]
        if is_last:
            headers.append(("Connection", "close"))
        events: list[h11.Event] = [
            h11.Response(
                status_code=response.status,
                headers=headers,
                reason=response.status.phrase.encode("ascii"),
            )
        ]
        if with_body:
            events.append(h11.Data(data=response.body))
        events.append(h11.EndOfMessage())
        self._writer.write(b"".join(self._http.send(event) or b"" for event in events))
        async with asyncio.timeout(self._patience.response):
            await self._writer.drain()


def _request(head: h11.Request) -> Request:
    path, _, query = head.target.decode("ascii").partition("?")
    host = next((value for name, value in head.headers if name == b"host"), b"")
    return Request(head.method.decode("ascii"), path, query, host.decode("latin-1"))
