# SPDX-License-Identifier: Apache-2.0
"""One complete list, in pages.

While a page is worked on the server prepares the next: each takes about as long as the other.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from concurrent.futures import Future
from functools import partial
from threading import Thread
from typing import Final

import msgspec
from urllib3.exceptions import HTTPError

from dataplane.sources.api import ApiServer, RequestFailedError

_PAGE_SIZE: Final = 2000
"""Small enough that no page is larger than what is made of it. The server takes some 15 ms for each
page, besides the objects in it."""
_READ_SECONDS: Final = 30.0


class ListMeta(msgspec.Struct, rename="camel"):
    """``metadata`` of a list."""

    resource_version: str
    continue_: str = msgspec.field(name="continue", default="")


class Page(msgspec.Struct):
    """Part of a list; its objects are not decoded, so that a bad one spoils only itself."""

    metadata: ListMeta
    items: list[msgspec.Raw] | None = None


def pages(
    server: ApiServer, path: str, selector: Mapping[str, str], *, in_parts: bool
) -> Generator[Page, None, None]:
    """The pages of a list, all of the same version of it.

    Raises:
        RelistNeededError: the server gave up that version before the last page.
        RequestFailedError: the server did not answer.
    """
    query = dict(selector)
    if in_parts:
        query["limit"] = str(_PAGE_SIZE)
    page = _page(server, path, query)
    while page.metadata.continue_:
        query["continue"] = page.metadata.continue_
        next_page = _begun(partial(_page, server, path, dict(query)))
        yield page
        page = next_page()
    yield page


def _begun(fetch: Callable[[], Page]) -> Callable[[], Page]:
    """Let ``fetch`` run in a thread of its own; returns what waits for its end and gives that.

    Nobody has to wait: a process that ends does not care for the answer.
    """
    outcome: Future[Page] = Future()

    def run() -> None:
        try:
            outcome.set_result(fetch())
        except Exception as error:  # noqa: BLE001 - it is raised where the page is wanted
            outcome.set_exception(error)

    Thread(target=run, name="next-page", daemon=True).start()
    return outcome.result


def _page(server: ApiServer, path: str, query: Mapping[str, str]) -> Page:
    try:
        body = server.get(path, query, read_seconds=_READ_SECONDS).read()
        return msgspec.json.decode(body, type=Page)
    except (HTTPError, OSError) as error:
        raise RequestFailedError(f"GET {path}: {error}") from error
    except (msgspec.MsgspecError, ValueError) as error:
        raise RequestFailedError(f"GET {path}: the answer is not a list: {error}") from error
