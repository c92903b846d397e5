# SPDX-License-Identifier: Apache-2.0
"""The paths under /status, and their answers."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from importlib.metadata import version
from importlib.resources import files
from typing import TYPE_CHECKING, Final

import msgspec

from dataplane.errors import DataplaneError
from dataplane.reports.health import ProxyHealth
from dataplane.serving.http import JSON, Request, Respond, Response
from dataplane.settings import Settings
from dataplane.status.board import StatusBoard
from dataplane.status.errors import UntraceableError
from dataplane.status.guard import guarded
from dataplane.status.overview import overview
from dataplane.status.query import (
    BadQueryError,
    decode_nothing,
    decode_services,
    decode_trace,
)
from dataplane.status.worker import Worker
from rules.ir import Family
from rules.jsonform import JsonObject

if TYPE_CHECKING:
    from dataplane.status.inspection import Inspection

_FILES: Final = {
    "/status": ("status.html", "text/html; charset=utf-8"),
    "/status.css": ("status.css", "text/css; charset=utf-8"),
    "/status.js": ("status.js", "text/javascript; charset=utf-8"),
    "/status/elements.js": ("elements.js", "text/javascript; charset=utf-8"),
    "/status/services.js": ("services.js", "text/javascript; charset=utf-8"),
    "/status/syncs.js": ("syncs.js", "text/javascript; charset=utf-8"),
    "/status/trace.js": ("trace.js", "text/javascript; charset=utf-8"),
    "/status/way.js": ("way.js", "text/javascript; charset=utf-8"),
    "/status/icon.svg": ("icon.svg", "image/svg+xml"),
}
_STATUS_OF: Final[tuple[tuple[type[DataplaneError], HTTPStatus], ...]] = (
    (BadQueryError, HTTPStatus.BAD_REQUEST),
    (UntraceableError, HTTPStatus.UNPROCESSABLE_ENTITY),
    (DataplaneError, HTTPStatus.SERVICE_UNAVAILABLE),
)

_Answer = Callable[[str], JsonObject]
"""From a query to what is answered."""


@dataclass(frozen=True, slots=True)
class StatusSources:
    """Where the status page has its answers from."""

    settings: Settings
    families: Collection[Family]
    health: ProxyHealth
    board: StatusBoard
    worker: Worker


def status_pages(sources: StatusSources) -> Mapping[str, Respond]:
    """The page, its files, and the JSON that it asks for, by path; all of them only read."""
    settings, board, worker = sources.settings, sources.board, sources.worker
    node_name, own_version = settings.source.node_name, version("kube-dataplane")

    @cache
    def inspection() -> Inspection:
        # Imported at the first question: it loads what follows packets, and no start needs that.
        from dataplane.status.inspection import Inspection  # noqa: PLC0415 - see above

        return Inspection(settings, sources.families, board)

    def summary(query: str) -> JsonObject:
        decode_nothing(query)
        return overview(node_name, own_version, sources.health, board)

    def syncs(query: str) -> JsonObject:
        decode_nothing(query)
        return {"syncs": board.syncs()}

    def services(query: str) -> JsonObject:
        return inspection().services(decode_services(query))

    def trace(query: str) -> JsonObject:
        return inspection().trace(decode_trace(query))

    def diff(query: str) -> JsonObject:
        decode_nothing(query)
        return inspection().differences()

    answers: Mapping[str, _Answer] = {
        "summary": summary,
        "syncs": syncs,
        "services": services,
        "trace": trace,
        "diff": diff,
    }
    pages: dict[str, Respond] = {path: _file(*file) for path, file in _FILES.items()}
    pages.update({f"/status/api/{name}": _in_json(answers[name], worker) for name in answers})
    return {path: guarded(page, node_name) for path, page in pages.items()}


def _file(name: str, content_type: str) -> Respond:
    body = files("dataplane.serving").joinpath("static", name).read_bytes()
    response = Response(HTTPStatus.OK, body, content_type)
    return lambda _: response


def _in_json(answer: _Answer, worker: Worker) -> Respond:
    """A page that answers with JSON, errors too; found on the worker's thread."""

    def found(query: str) -> Response:
        try:
            return _json(HTTPStatus.OK, answer(query))
        except DataplaneError as error:
            status = next(status for kind, status in _STATUS_OF if isinstance(error, kind))
            return _json(status, {"error": str(error)})

    async def respond(request: Request) -> Response:
        return await worker.answer(lambda: found(request.query))

    return respond


def _json(status: HTTPStatus, fields: JsonObject) -> Response:
    return Response(status, msgspec.json.encode(fields), JSON)
