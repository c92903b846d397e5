# SPDX-License-Identifier: Apache-2.0
"""One complete list, in pages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

import msgspec
from urllib3.exceptions import HTTPError

from dataplane.sources.api import ApiServer, RequestFailedError

_PAGE_SIZE: Final = 500
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
) -> Iterator[Page]:
    """The pages of a list, all of the same version of it.

    Raises:
        RelistNeededError: the server gave up that version before the last page.
        RequestFailedError: the server did not answer.
    """
    query = dict(selector)
    if in_parts:
        query["limit"] = str(_PAGE_SIZE)
    while True:
        page = _page(server, path, query)
        yield page
        if not page.metadata.continue_:
            return
        query["continue"] = page.metadata.continue_


def _page(server: ApiServer, path: str, query: Mapping[str, str]) -> Page:
    try:
        body = server.get(path, query, read_seconds=_READ_SECONDS).read()
        return msgspec.json.decode(body, type=Page)
    except (HTTPError, OSError) as error:
        raise RequestFailedError(f"GET {path}: {error}") from error
    except (msgspec.MsgspecError, ValueError) as error:
        raise RequestFailedError(f"GET {path}: the answer is not a list: {error}") from error
