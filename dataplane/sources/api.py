# SPDX-License-Identifier: Apache-2.0
"""Requests to an API server; the one module that uses the kubernetes package.

That package finds the server and the credentials, renews these, and holds the connections. Its
model classes are not used: they take far too long to fill.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping
from functools import partial
from http import HTTPStatus
from pathlib import Path
from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import urlencode, urlsplit

import msgspec
import urllib3
from urllib3.connection import HTTPConnection
from urllib3.exceptions import HTTPError, SSLError

from dataplane.errors import DataplaneError, SourceError
from dataplane.memory import many_values

if TYPE_CHECKING:
    from kubernetes.client import Configuration

_USER_AGENT: Final = "kube-dataplane"
_CONNECT_SECONDS: Final = 4
"""A lost first packet is sent again after 1 and 3 seconds: waiting on would find nobody sooner."""
_LONGEST_EXPLANATION: Final = 4096
_SUCCESSES: Final = (HTTPStatus.OK, HTTPStatus.CREATED)
_KEEP_ALIVE: Final = (
    # A server that vanished without a word is given up after 16 seconds. One that came back
    # without its connections is noticed at the next question, in time to be followed in 5.
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 4),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 4),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
)


class RequestFailedError(DataplaneError):
    """The server did not answer, or not with what was asked for; later it may."""


class RelistNeededError(RequestFailedError):
    """The server cannot go on from where the client is: only a new list helps."""


class Status(msgspec.Struct):
    """meta/v1 Status: how the server explains a failure."""

    code: int = 0
    message: str = ""


class ApiRequest(NamedTuple):
    """A request that was answered, or that failed."""

    method: str
    host: str
    """Name or address of the server, and its port."""
    code: int | None
    """HTTP's code of the answer; None if there was none."""
    seconds: float | None
    """Until the answer began; None for a watch, whose answer begins when something changes."""


class _Connection(NamedTuple):
    base_url: str
    host: str
    configuration: Configuration
    pool: urllib3.PoolManager


class ApiServer:
    """An API server. All methods may be called from any thread."""

    def __init__(
        self,
        kubeconfig: Path | None,
        master: str = "",
        on_request: Callable[[ApiRequest], None] = lambda _: None,
    ) -> None:
        """Use ``kubeconfig``; without it and without ``master``, the configuration of a pod.

        ``master`` overrides the server's URL. ``on_request`` is told of each request.

        Raises:
            SourceError: the configuration cannot be used.
        """
        self._kubeconfig = kubeconfig
        self._master = master
        self._on_request = on_request
        self._lock = Lock()
        self._connection: _Connection | None = self._connect()

    def get(
        self, path: str, query: Mapping[str, str], *, read_seconds: float
    ) -> urllib3.BaseHTTPResponse:
        """Start a GET request and return the successful response, its body not read yet.

        Raises:
            RequestFailedError: there is none, or nothing comes for ``read_seconds``.
            RelistNeededError: the version or page that is asked for is gone.
        """
        return self._request("GET", path, query, None, read_seconds)

    def post(self, path: str, content: object, *, read_seconds: float) -> None:
        """Create an object: ``content`` as JSON.

        Raises:
            RequestFailedError: it was not created, or no answer comes for ``read_seconds``.
        """
        body = msgspec.json.encode(content)
        # Of the answer only the status matters; the connection is used again.
        self._request("POST", path, {}, body, read_seconds).drain_conn()

    def _request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: bytes | None,
        read_seconds: float,
    ) -> urllib3.BaseHTTPResponse:
        connection, headers = self._prepare()
        if body is not None:
            headers["content-type"] = "application/json"
        send = partial(
            connection.pool.request,
            method,
            f"{connection.base_url}{path}?{urlencode(query)}",
            body=body,
            headers=headers,
            timeout=urllib3.Timeout(connect=_CONNECT_SECONDS, read=read_seconds),
            retries=False,
            preload_content=False,
        )
        try:
            response = self._tell(send, method, connection.host, is_watch="watch" in query)
            if response.status in _SUCCESSES:
                return response
            explanation = response.read(_LONGEST_EXPLANATION)
            response.close()
        except (HTTPError, OSError) as error:
            if isinstance(error, SSLError):
                self._forget(connection)
            raise RequestFailedError(f"{method} {path}: {error}") from error
        if response.status == HTTPStatus.UNAUTHORIZED:
            self._forget(connection)
        raise _failure(f"{method} {path}", response.status, explanation)

    def _tell(
        self,
        send: Callable[[], urllib3.BaseHTTPResponse],
        method: str,
        host: str,
        *,
        is_watch: bool,
    ) -> urllib3.BaseHTTPResponse:
        """What ``send`` returns; the observer is told what became of the request."""
        started, code = monotonic(), None
        try:
            response = send()
            code = response.status
        finally:
            seconds = None if is_watch else monotonic() - started
            self._on_request(ApiRequest(method, host, code, seconds))
        return response

    def _prepare(self) -> tuple[_Connection, dict[str, str]]:
        with self._lock:
            if self._connection is None:
                self._connection = self._connect()
            headers = {
                "accept": "application/json",
                # A list is a tenth as long then, and takes less time to read.
                "accept-encoding": "gzip",
                "user-agent": _USER_AGENT,
            }
            # Renews an expired token first, perhaps with a program that the kubeconfig names.
            token = self._connection.configuration.auth_settings().get("BearerToken")
            if token is not None and token["value"]:
                headers[token["key"]] = token["value"]
            return self._connection, headers

    def _forget(self, connection: _Connection) -> None:
        """Read the configuration anew before the next request: its files may have changed."""
        with self._lock:
            if self._connection is connection:
                self._connection = None

    def _connect(self) -> _Connection:
        if self._kubeconfig is not None and os.pathsep in str(self._kubeconfig):
            raise SourceError(
                f"{self._kubeconfig}: the path of a kubeconfig must not have {os.pathsep!r} in it, "
                "which the kubernetes package takes for the end of one path and the beginning of "
                "another; rename the file or its folder"
            )
        # Takes a third of a second to import, and work on manifests does not need it.
        with many_values():
            from kubernetes import client, config  # noqa: PLC0415 - see above

        configuration = client.Configuration()
        try:
            if self._kubeconfig is not None:
                config.load_kube_config(  # type: ignore[no-untyped-call] # the package types none
                    str(self._kubeconfig), client_configuration=configuration
                )
            elif not self._master:
                config.load_incluster_config(  # type: ignore[no-untyped-call] # as above
                    configuration
                )
            pool = client.ApiClient(configuration).rest_client.pool_manager
        except Exception as error:  # the package lets through whatever its parsing meets
            origin = self._kubeconfig or "the configuration of a pod"
            reason = " ".join(str(error).split()) or type(error).__name__
            raise SourceError(
                f"{origin} gives no access to a cluster: {reason};"
                " check --kubeconfig and --master, or use --manifests"
            ) from error
        options = pool.connection_pool_kw.setdefault(
            "socket_options", HTTPConnection.default_socket_options
        )
        pool.connection_pool_kw["socket_options"] = [*options, *_KEEP_ALIVE]
        # Not to be read from the configuration later: renewing a token resets its host.
        base_url = (self._master or configuration.host).rstrip("/")
        return _Connection(base_url, urlsplit(base_url).netloc, configuration, pool)


def _failure(request: str, code: int, explanation: bytes) -> RequestFailedError:
    try:
        message = msgspec.json.decode(explanation, type=Status).message
    except (msgspec.MsgspecError, ValueError):
        message = ""
    text = f"{request}: HTTP {code} {message}".rstrip()
    return RelistNeededError(text) if code == HTTPStatus.GONE else RequestFailedError(text)
