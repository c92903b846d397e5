# SPDX-License-Identifier: Apache-2.0
"""What the health server and the metrics server answer: kube-proxy's paths and bodies."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http import HTTPStatus

import msgspec

from dataplane.reports.exposition import CONTENT_TYPE
from dataplane.reports.health import ProxyHealth
from dataplane.reports.metrics import Metrics
from dataplane.serving.http import JSON, Request, Respond, Response, by_path, read_only


def health_pages(health: ProxyHealth, metrics: Metrics) -> Respond:
    """/healthz and /livez, to requests of any method: load balancers ask with OPTIONS too."""

    def healthz(_: Request) -> Response:
        now = health.read()
        status = _status(is_ok=now.is_healthy)
        metrics.healthz_answered(status)
        return Response(status, now.healthz_json(), JSON)

    def livez(_: Request) -> Response:
        now = health.read()
        status = _status(is_ok=now.is_live)
        metrics.livez_answered(status)
        return Response(status, now.livez_json(), JSON)

    return by_path({"/healthz": healthz, "/livez": livez})


def metrics_pages(
    metrics: Metrics,
    config: Callable[[], Mapping[str, object]],
    others: Mapping[str, Respond] | None = None,
) -> Respond:
    """/metrics and its neighbours; ``config`` gives what /configz answers, ``others`` stand by."""

    def configz(_: Request) -> Response:
        return Response(HTTPStatus.OK, msgspec.json.encode(config()), JSON)

    def scrape(_: Request) -> Response:
        return Response(HTTPStatus.OK, metrics.text(), CONTENT_TYPE)

    pages: dict[str, Respond] = {
        "/metrics": scrape,
        # Only whether the process answers; the health server tells of the rules.
        "/healthz": lambda _: Response(HTTPStatus.OK, b"ok"),
        "/proxyMode": lambda _: Response(HTTPStatus.OK, b"iptables"),
        "/configz": configz,
        **(others or {}),
    }
    return by_path({path: read_only(page) for path, page in pages.items()})


def _status(*, is_ok: bool) -> HTTPStatus:
    return HTTPStatus.OK if is_ok else HTTPStatus.SERVICE_UNAVAILABLE
