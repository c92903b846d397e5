# SPDX-License-Identifier: Apache-2.0
"""What the API server asks kubelets for: the log of a container, and a terminal in one.

A terminal is a WebSocket, on which each message begins with the number of its stream. Since
Kubernetes 1.36 the API server passes on what kubectl sends, if the node declares that its kubelet
understands it.
"""

from __future__ import annotations

import asyncio
import json
import os
import pty
import socket
import ssl
from asyncio.subprocess import Process
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import Final

from aiohttp import WSMsgType, web

from lab.place import Place

DECLARED: Final = ("ExtendWebSocketsToKubelet",)
"""What nodes have to declare; others are asked for a terminal in SPDY."""

_PORT: Final = 10250
_PATH: Final = "{namespace}/{pod}/{container}"
_PROTOCOL: Final = "v5.channel.k8s.io"
_STDIN, _STDOUT, _ERROR = (bytes([number]) for number in (0, 1, 3))
_SUCCESS: Final = {"status": "Success"}
_CHUNK: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class Container:
    """One that runs."""

    log: Path
    enter: tuple[str, ...]
    """A command that becomes the one behind it, in this container."""


@contextmanager
def answering_kubelets(
    nodes: Iterable[Place], find: Callable[[str], Container | None], key_pair: tuple[Path, Path]
) -> Iterator[None]:
    """Answer on all nodes for the duration of the block.

    Args:
        nodes: where to listen.
        find: tells the container of a pod.
        key_pair: files with the certificate and the key to show.
    """

    def container(request: web.Request) -> Container:
        found = find(request.match_info["pod"])
        if found is None:
            raise web.HTTPNotFound
        return found

    async def log(request: web.Request) -> web.FileResponse:
        return web.FileResponse(container(request).log)

    async def terminal(request: web.Request) -> web.WebSocketResponse:
        return await _terminal(request, container(request))

    application = web.Application()
    application.router.add_get(f"/containerLogs/{_PATH}", log)
    application.router.add_get(f"/exec/{_PATH}", terminal)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(*key_pair)
    stopped: Future[None] = Future()
    serving = _serve(application, [_listen(node) for node in nodes], tls, stopped)
    thread = Thread(target=asyncio.run, args=(serving,), name="kubelets' servers")
    thread.start()
    try:
        yield
    finally:
        stopped.set_result(None)
        thread.join()


def _listen(node: Place) -> socket.socket:
    with node.entered():
        return socket.create_server(("0.0.0.0", _PORT))  # noqa: S104 - on a machine of the lab


async def _serve(
    application: web.Application,
    listening: list[socket.socket],
    tls: ssl.SSLContext,
    stopped: Future[None],
) -> None:
    runner = web.AppRunner(application)
    await runner.setup()
    for one in listening:
        await web.SockSite(runner, one, ssl_context=tls).start()
    await asyncio.wrap_future(stopped)
    await runner.cleanup()


async def _terminal(request: web.Request, container: Container) -> web.WebSocketResponse:
    """Run a command in a terminal until it ends, or until nobody looks any more."""
    opened = web.WebSocketResponse(protocols=(_PROTOCOL,))
    await opened.prepare(request)
    terminal, other_end = pty.openpty()
    command = (*container.enter, *request.query.getall("command"))
    process = await asyncio.create_subprocess_exec(
        *("setsid", "--ctty", *command), stdin=other_end, stdout=other_end, stderr=other_end
    )
    os.close(other_end)
    showing = asyncio.create_task(_show(terminal, process, opened))
    async for message in opened:
        if message.type is WSMsgType.BINARY and message.data[:1] == _STDIN:
            os.write(terminal, message.data[1:])
    if process.returncode is None:
        process.kill()
    await showing
    os.close(terminal)
    return opened


async def _show(terminal: int, process: Process, opened: web.WebSocketResponse) -> None:
    """Pass on what is printed, then how the command ended."""
    # A terminal cannot be read any more when all that ran in it has ended.
    with suppress(OSError):
        while True:
            await opened.send_bytes(_STDOUT + await asyncio.to_thread(os.read, terminal, _CHUNK))
    code = await process.wait()
    status = {"status": "Failure", "message": f"exit code {code}"} if code else _SUCCESS
    if not opened.closed:
        await opened.send_bytes(_ERROR + json.dumps(status).encode())
        await opened.close()
