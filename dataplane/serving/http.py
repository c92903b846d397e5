# SPDX-License-Identifier: Apache-2.0
"""Questions and answers as values."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, NamedTuple

TEXT: Final = "text/plain; charset=utf-8"
JSON: Final = "application/json"


class Request(NamedTuple):
    """A question."""

    method: str
    path: str
    """Without the query."""
    query: str = ""
    """As it came; empty without one."""
    host: str = ""
    """What the Host header says; empty without one."""


@dataclass(frozen=True, slots=True)
class Response:
    """An answer."""

    status: HTTPStatus
    body: bytes
    content_type: str = TEXT
    headers: tuple[tuple[str, str], ...] = ()


Answer = Response | Awaitable[Response]
"""Given at once, or when it is known; others are served meanwhile."""
Respond = Callable[[Request], Answer]
"""Returns at once: it is called on the thread that serves everybody."""

_NOT_FOUND: Final = Response(HTTPStatus.NOT_FOUND, b"404 page not found\n")
_NOT_ALLOWED: Final = Response(
    HTTPStatus.METHOD_NOT_ALLOWED, b"only GET and HEAD\n", headers=(("Allow", "GET, HEAD"),)
)


def by_path(pages: Mapping[str, Respond]) -> Respond:
    """Answer with one of ``pages``, each known by its whole path."""

    def respond(request: Request) -> Answer:
        page = pages.get(request.path)
        return _NOT_FOUND if page is None else page(request)

    return respond


def read_only(page: Respond) -> Respond:
    """Let ``page`` answer GET and HEAD only."""

    def respond(request: Request) -> Answer:
        return page(request) if request.method in ("GET", "HEAD") else _NOT_ALLOWED

    return respond
