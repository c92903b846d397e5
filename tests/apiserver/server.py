# SPDX-License-Identifier: Apache-2.0
"""The fake API server: starts, stops, and misbehaves when told to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from threading import Thread
from typing import Final, Self

import yaml

from tests.apiserver.faults import Faults
from tests.apiserver.handler import HttpServer, Request
from tests.apiserver.store import JsonObject, Store

_TOKEN: Final = "first-token"  # noqa: S105 - it opens nothing

_PATIENCE_SECONDS: Final = 10.0


class FakeApiServer:
    """An API server on the loopback interface; a context manager.

    It can go away and come back on the same port, with its objects and their history. ``faults``
    has the switches for everything else that goes wrong.
    """

    def __init__(self) -> None:
        self.store = Store()
        self.faults = Faults(self.store.changed)
        self.token = _TOKEN
        self.requests: list[Request] = []
        self.bookmarks: list[tuple[str, int]] = []
        """Path and version of each bookmark that was sent."""
        self.bookmark_seconds: float | None = None
        self._http: HttpServer | None = None
        self._thread: Thread | None = None
        self._port = 0

    def __enter__(self) -> Self:
        self.come_back()
        return self

    def __exit__(self, *_: object) -> None:
        self.go_away()

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._port

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._port}"

    def kubeconfig(self, folder: Path) -> Path:
        """Write a kubeconfig that leads to it."""
        path = folder / "kubeconfig"
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
            "clusters": [{"name": "test", "cluster": {"server": self.url}}],
            "users": [{"name": "test", "user": {"token": self.token}}],
        }
        path.write_text(yaml.safe_dump(content), encoding="utf-8")
        return path

    def renew_token(self) -> None:
        """Take another token than so far."""
        self.token = f"next-{self.token}"

    def put(self, one: JsonObject) -> None:
        """Add or change an object."""
        self.store.put(one)

    def delete(self, kind: str, namespace: str, name: str) -> None:
        """Remove an object; the namespace of a Node is empty."""
        self.store.delete(kind, namespace, name)

    def lists(self, path: str) -> int:
        """How many lists of ``path`` were begun."""
        with self.store.changed:
            return sum(request.path == path and request.is_list for request in self.requests)

    def watched_from(self, path: str) -> list[int]:
        """The version from which each watch of ``path`` was asked for."""
        with self.store.changed:
            return [
                int(request.query["resourceVersion"])
                for request in self.requests
                if request.path == path and "watch" in request.query
            ]

    def wait_for(self, condition: Callable[[], object]) -> None:
        """Wait until something true is returned about requests, bookmarks or objects."""
        with self.store.changed:
            assert self.store.changed.wait_for(condition, _PATIENCE_SECONDS), self.requests

    def come_back(self) -> None:
        """Listen, on the same port as before if there was one."""
        self._http = HttpServer(self._port, self)
        self._port = self._http.server_port
        self._thread = Thread(target=self._http.serve_forever, args=(0.02,), name="api server")
        self._thread.start()

    def go_away(self, *, abruptly: bool = False) -> None:
        """Break all connections and listen no longer.

        ``abruptly``: what was sent and not received is not sent again, as after a power cut.
        """
        if self._http is not None and self._thread is not None:
            self._http.close(abruptly=abruptly)
            self._thread.join()
            self._http = None
