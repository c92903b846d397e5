# SPDX-License-Identifier: Apache-2.0
"""Health-check node ports: what they answer, and how they come, change and go."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from queue import SimpleQueue
from threading import active_count

import pytest

from dataplane.serving.health_checks import ServiceHealthServers
from dataplane.serving.listener import PortUnavailableError
from dataplane.serving.loop import ServingThread
from rules.health_checks import HealthCheckService
from rules.ir import Family
from rules.model import ObjectKey
from tests.unit.dataplane.serving.support import (
    LOOPBACK,
    QUICK,
    ask,
    body_when_served,
    connect,
    everything,
    free_port,
    is_listening,
    occupied,
    wait_until_closed,
    wait_until_listening,
)

WEB, SHOP = ObjectKey("default", "web"), ObjectKey("other", "shop")


@dataclass
class Proxy:
    """What the servers ask the rest of the agent, and what they report to it."""

    is_healthy: bool = True
    reports: SimpleQueue[tuple[ObjectKey, PortUnavailableError]] = field(
        default_factory=SimpleQueue
    )


@pytest.fixture
def proxy() -> Proxy:
    """A healthy proxy."""
    return Proxy()


@pytest.fixture
def servers(thread: ServingThread, proxy: Proxy) -> ServiceHealthServers:
    """Servers without services yet."""
    return ServiceHealthServers(
        thread,
        is_proxy_healthy=lambda: proxy.is_healthy,
        on_unavailable=lambda key, error: proxy.reports.put((key, error)),
        timing=QUICK,
    )


def _serve(
    servers: ServiceHealthServers,
    services: dict[ObjectKey, tuple[int, int]],
    family: Family = Family.IPV4,
) -> None:
    checks = {key: HealthCheckService(*values) for key, values in services.items()}
    servers.sync(family, checks, (LOOPBACK[family],))


@pytest.mark.parametrize("family", Family)
def test_a_node_with_endpoints(servers: ServiceHealthServers, family: Family) -> None:
    """A node with endpoints answers 200 with their number, in the body and as the weight."""
    port = free_port(LOOPBACK[family])
    _serve(servers, {WEB: (port, 2)}, family)
    wait_until_listening(port, LOOPBACK[family])
    answer = ask(port, "/", address=LOOPBACK[family])
    assert answer.status == 200
    assert json.loads(answer.body) == {
        "service": {"namespace": "default", "name": "web"},
        "localEndpoints": 2,
        "serviceProxyHealthy": True,
    }
    assert [answer.headers[name] for name in ("Content-Type", "X-Content-Type-Options")] == [
        "application/json",
        "nosniff",
    ]
    assert answer.headers["X-Load-Balancing-Endpoint-Weight"] == "2"


def test_any_path_and_method(servers: ServiceHealthServers) -> None:
    """Load balancers ask in many ways, and all of them get the answer."""
    port = free_port()
    _serve(servers, {WEB: (port, 1)})
    wait_until_listening(port)
    asked = (("GET", "/healthz"), ("HEAD", "/"), ("OPTIONS", "/"), ("POST", "/x"))
    assert {ask(port, path, method=method).status for method, path in asked} == {200}


@pytest.mark.parametrize(("count", "is_healthy"), [(0, True), (3, False), (0, False)])
def test_a_node_to_be_avoided(
    servers: ServiceHealthServers, proxy: Proxy, count: int, *, is_healthy: bool
) -> None:
    """Without endpoints, or with rules that are out of date, the answer is 503 and says why."""
    proxy.is_healthy = is_healthy
    port = free_port()
    _serve(servers, {WEB: (port, count)})
    wait_until_listening(port)
    answer = ask(port)
    told = json.loads(answer.body)
    assert answer.status == 503
    assert (told["localEndpoints"], told["serviceProxyHealthy"]) == (count, is_healthy)


def test_new_counts_on_old_connections(servers: ServiceHealthServers) -> None:
    """A change of endpoints is told at once, on connections that stay open."""
    port = free_port()
    _serve(servers, {WEB: (port, 1)})
    wait_until_listening(port)
    with connect(port) as client:
        for count, status in ((1, b"200"), (0, b"503"), (4, b"200")):
            _serve(servers, {WEB: (port, count)})
            client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            answer = client.recv(4096)
            assert answer.startswith(b"HTTP/1.1 " + status)
            assert b'"localEndpoints":%d' % count in answer


def test_services_come_and_go(servers: ServiceHealthServers) -> None:
    """New services open their ports, deleted ones close them; the others keep their listeners."""
    web, shop = free_port(), free_port()
    _serve(servers, {WEB: (web, 1)})
    wait_until_listening(web)
    with connect(web) as client:
        _serve(servers, {WEB: (web, 1), SHOP: (shop, 1)})
        wait_until_listening(shop)
        _serve(servers, {WEB: (web, 1)})
        wait_until_closed(shop)
        client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert client.recv(4096).startswith(b"HTTP/1.1 200")
    _serve(servers, {})
    wait_until_closed(web)


def test_a_deleted_service_hangs_up(servers: ServiceHealthServers) -> None:
    """Connections that a load balancer keeps end with the service."""
    port = free_port()
    _serve(servers, {WEB: (port, 1)})
    wait_until_listening(port)
    with connect(port) as client:
        _serve(servers, {})
        assert everything(client) == b""


def test_a_port_changes_hands(servers: ServiceHealthServers, proxy: Proxy) -> None:
    """A port that one service leaves to another is answered for the other, without a report."""
    port = free_port()
    _serve(servers, {WEB: (port, 1)})
    wait_until_listening(port)
    _serve(servers, {SHOP: (port, 7)})
    told = json.loads(body_when_served(port, b'"shop"'))
    assert (told["service"]["namespace"], told["localEndpoints"]) == ("other", 7)
    assert proxy.reports.empty()


def test_a_port_moves(servers: ServiceHealthServers) -> None:
    """A service with a new port is served there and no longer on the old one."""
    old, new = free_port(), free_port()
    _serve(servers, {WEB: (old, 1)})
    wait_until_listening(old)
    _serve(servers, {WEB: (new, 1)})
    wait_until_listening(new)
    wait_until_closed(old)


def test_other_addresses(servers: ServiceHealthServers, proxy: Proxy) -> None:
    """Listeners follow the addresses of node ports."""
    port = free_port()
    checks = {WEB: HealthCheckService(port, 1)}
    servers.sync(Family.IPV4, checks, ("0.0.0.0",))  # noqa: S104 - as without restriction
    wait_until_listening(port)
    servers.sync(Family.IPV4, checks, ("127.0.0.2", "127.0.0.3"))
    wait_until_closed(port)
    for address in ("127.0.0.2", "127.0.0.3"):
        wait_until_listening(port, address)
    assert proxy.reports.empty()


def test_families_are_their_own(servers: ServiceHealthServers) -> None:
    """Each family answers with its own count, and closes without the other."""
    port = free_port()
    _serve(servers, {WEB: (port, 1)}, Family.IPV4)
    _serve(servers, {WEB: (port, 2)}, Family.IPV6)
    for count, address in enumerate(("127.0.0.1", "::1"), start=1):
        wait_until_listening(port, address)
        assert json.loads(ask(port, address=address).body)["localEndpoints"] == count
    _serve(servers, {}, Family.IPV6)
    wait_until_closed(port, "::1")
    assert ask(port).status == 200


def test_a_taken_port(servers: ServiceHealthServers, proxy: Proxy) -> None:
    """A taken port is reported with its service, others are served, and it is had when free."""
    free = free_port()
    with occupied() as occupant:
        taken = occupant.getsockname()[1]
        services = {WEB: (taken, 1), SHOP: (free, 1)}
        _serve(servers, services)
        key, error = proxy.reports.get(timeout=10)
        assert key == WEB
        assert str(error).startswith(f"cannot listen on 127.0.0.1:{taken}: Address already in use")
        wait_until_listening(free)
        _serve(servers, services)
    assert json.loads(body_when_served(taken, b'"web"'))["localEndpoints"] == 1
    assert proxy.reports.empty()


def test_a_taken_port_of_a_deleted_service(servers: ServiceHealthServers, proxy: Proxy) -> None:
    """A service that is deleted while it waits for its port does not take it later."""
    with occupied() as occupant:
        taken = occupant.getsockname()[1]
        _serve(servers, {WEB: (taken, 1)})
        proxy.reports.get(timeout=10)
        _serve(servers, {})
        other = free_port()
        _serve(servers, {SHOP: (other, 1)})
        # What is asked later is done later: now the first service has given up.
        wait_until_listening(other)
    assert not is_listening(taken)


def test_many_ports_need_no_more_threads(servers: ServiceHealthServers) -> None:
    """All ports are served by the one thread."""
    before = active_count()
    ports = [free_port() for _ in range(50)]
    _serve(servers, {ObjectKey("many", str(port)): (port, 1) for port in ports})
    for port in ports:
        wait_until_listening(port)
        assert ask(port).status == 200
    assert active_count() == before
