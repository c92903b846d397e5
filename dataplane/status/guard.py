# SPDX-License-Identifier: Apache-2.0
"""Who may ask for the status page, and what a browser may do with the answers.

The page is read-only and has no log-in: whoever reaches the metrics port may read it. A browser of
this machine reaches it too, on behalf of any web site whose name resolves to 127.0.0.1; such a
request names that site's host, so that only addresses, ``localhost`` and this node's name are
answered.
"""

from __future__ import annotations

import re
from dataclasses import replace
from http import HTTPStatus
from ipaddress import ip_address
from typing import Final

from dataplane.serving.http import Request, Respond, Response

_HOST: Final = re.compile(r"(?:\[(?P<bracketed>[^][]+)\]|(?P<bare>[^][:]+))(?::\d*)?")
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS: Final = (
    ("Content-Security-Policy", _POLICY),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Referrer-Policy", "no-referrer"),
    ("Cache-Control", "no-store"),
)
_WRONG_HOST: Final = Response(
    HTTPStatus.MISDIRECTED_REQUEST,
    b"the status page answers to IP addresses, localhost and this node's name only\n",
)


def guarded(page: Respond, node_name: str) -> Respond:
    """``page`` for requests that name this node, with headers that keep its answers here."""

    async def respond(request: Request) -> Response:
        if not is_own_host(request.host, node_name):
            return _secured(_WRONG_HOST)
        answer = page(request)
        return _secured(answer if isinstance(answer, Response) else await answer)

    return respond


def is_own_host(host: str, node_name: str) -> bool:
    """Whether a Host header names this node in a way that no stranger's DNS can."""
    found = _HOST.fullmatch(host.lower())
    if found is None:
        return False
    name = found["bracketed"] or found["bare"]
    if name in ("localhost", node_name.lower()):
        return True
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _secured(response: Response) -> Response:
    return replace(response, headers=(*response.headers, *_HEADERS))
