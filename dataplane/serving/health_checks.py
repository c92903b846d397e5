# SPDX-License-Identifier: Apache-2.0
"""Health-check node ports: each tells load balancers whether this node serves one Service.

They open and close as Services come and go. A port that is taken is tried again until it is free,
and the others do not notice.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from http import HTTPStatus
from typing import NamedTuple

import msgspec

from dataplane.serving.http import JSON, Request, Respond, Response
from dataplane.serving.listener import Endpoint, Listener, ListenerTiming, PortUnavailableError
from dataplane.serving.loop import ServingThread
from rules.health_checks import HealthCheckService
from rules.ir import Family
from rules.model import ObjectKey

ReportUnavailable = Callable[[ObjectKey, PortUnavailableError], None]


class _Place(NamedTuple):
    """Where a Service is asked for."""

    family: Family
    address: str
    service: ObjectKey
    port: int


class ServiceHealthServers:
    """The open health-check node ports. :meth:`sync` is for one thread; it never waits."""

    def __init__(
        self,
        thread: ServingThread,
        *,
        is_proxy_healthy: Callable[[], bool],
        on_unavailable: ReportUnavailable,
        timing: ListenerTiming | None = None,
    ) -> None:
        """Serve on ``thread``, on which ``on_unavailable`` is told of ports that are taken."""
        self._thread = thread
        self._is_proxy_healthy = is_proxy_healthy
        self._on_unavailable = on_unavailable
        self._timing = timing
        self._listeners: dict[_Place, Listener] = {}
        self._services: dict[Family, Mapping[ObjectKey, HealthCheckService]] = {}

    def sync(
        self,
        family: Family,
        services: Mapping[ObjectKey, HealthCheckService],
        addresses: Collection[str],
    ) -> None:
        """Answer for ``services``, and for no others of ``family``, on ``addresses``."""
        wanted = {
            _Place(family, address, key, service.port)
            for key, service in services.items()
            for address in addresses
        }
        # Before a port opens: its first question must find the answer.
        self._services[family] = services
        standing = {place for place in self._listeners if place.family is family}
        for place in standing - wanted:
            self._thread.close(self._listeners.pop(place))
        for place in sorted(wanted - standing, key=str):
            self._listeners[place] = listener = self._listener(place)
            self._thread.open(listener)

    def _listener(self, place: _Place) -> Listener:
        return Listener(
            Endpoint(place.address, place.port),
            self._page(place.family, place.service),
            on_unavailable=lambda error: self._on_unavailable(place.service, error),
            timing=self._timing,
        )

    def _page(self, family: Family, key: ObjectKey) -> Respond:
        """The answer to any path and method, as load balancers ask in many ways."""

        def respond(_: Request) -> Response:
            service = self._services[family].get(key)
            count = 0 if service is None else service.local_endpoints
            is_healthy = self._is_proxy_healthy()
            is_ok = count > 0 and is_healthy
            return Response(
                HTTPStatus.OK if is_ok else HTTPStatus.SERVICE_UNAVAILABLE,
                msgspec.json.encode(
                    {
                        "service": {"namespace": key.namespace, "name": key.name},
                        "localEndpoints": count,
                        "serviceProxyHealthy": is_healthy,
                    }
                ),
                JSON,
                headers=(("X-Load-Balancing-Endpoint-Weight", str(count)),),
            )

        return respond
