# SPDX-License-Identifier: Apache-2.0
"""What the health server and the metrics server answer."""

from __future__ import annotations

import json

import pytest
from prometheus_client.parser import text_string_to_metric_families

from dataplane.reports.health import ProxyHealth
from dataplane.reports.metrics import Metrics
from dataplane.serving.listener import Endpoint, Listener
from dataplane.serving.loop import ServingThread
from dataplane.serving.pages import health_pages, metrics_pages
from rules.ir import Family
from tests.unit.dataplane.clock import Clock
from tests.unit.dataplane.serving.support import ask, free_port

TIMEOUT = 60.0
CONFIG = {"kind": "KubeProxyConfiguration", "mode": "iptables"}


class Servers:
    """Both servers of an agent, and what they tell of."""

    def __init__(self, thread: ServingThread) -> None:
        self.clock = Clock()
        self.health = ProxyHealth(
            Family, TIMEOUT, monotonic=self.clock.monotonic, now=self.clock.now
        )
        self.metrics = Metrics(Family)
        self.health_port, self.metrics_port = free_port(), free_port()
        for port, pages in (
            (self.health_port, health_pages(self.health, self.metrics)),
            (self.metrics_port, metrics_pages(self.metrics, lambda: CONFIG)),
        ):
            listener = Listener(Endpoint("127.0.0.1", port), pages)
            listener.bind()
            thread.open(listener)

    def grow_late(self) -> None:
        """Let a change wait too long."""
        self.health.update_queued(Family.IPV4)
        self.clock.seconds += TIMEOUT

    def counted(self, name: str) -> dict[str, float]:
        """A counter's values by code."""
        text = ask(self.metrics_port, "/metrics").body.decode()
        return {
            sample.labels["code"]: sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == name
        }


@pytest.fixture
def servers(thread: ServingThread) -> Servers:
    """The servers of a healthy agent."""
    return Servers(thread)


@pytest.mark.parametrize("path", ["/healthz", "/livez"])
def test_health_in_json(servers: Servers, path: str) -> None:
    """A healthy agent answers 200, and 503 once a change is late, with the same JSON fields."""
    well = ask(servers.health_port, path)
    servers.grow_late()
    late = ask(servers.health_port, path)
    assert (well.status, late.status) == (200, 503)
    assert well.headers["Content-Type"] == late.headers["Content-Type"] == "application/json"
    assert [json.loads(answer.body)["healthy"] for answer in (well, late)] == [True, False]


def test_an_ineligible_node(servers: Servers) -> None:
    """A node that is about to go fails /healthz, which says so, and not /livez."""
    servers.health.node_changed(is_eligible=False)
    healthz, livez = (ask(servers.health_port, path) for path in ("/healthz", "/livez"))
    assert (healthz.status, livez.status) == (503, 200)
    assert json.loads(healthz.body)["nodeEligible"] is False


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "POST"])
def test_health_for_all_load_balancers(servers: Servers, method: str) -> None:
    """Health is told whatever the method; HAProxy asks with OPTIONS unless told otherwise."""
    assert ask(servers.health_port, "/healthz", method=method).status == 200


def test_answers_are_counted(servers: Servers) -> None:
    """Each answer counts by its code."""
    ask(servers.health_port, "/healthz")
    servers.grow_late()
    for path in ("/healthz", "/healthz", "/livez"):
        ask(servers.health_port, path)
    assert servers.counted("kubeproxy_proxy_healthz_total") == {"200": 1, "503": 2}
    assert servers.counted("kubeproxy_proxy_livez_total") == {"503": 1}


def test_metrics_are_prometheus_text(servers: Servers) -> None:
    """/metrics is in the text format, with the process's own metrics."""
    answer = ask(servers.metrics_port, "/metrics")
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert b"\nprocess_resident_memory_bytes " in answer.body


@pytest.mark.parametrize(
    ("path", "body"), [("/proxyMode", b"iptables"), ("/healthz", b"ok")], ids=["mode", "health"]
)
def test_plain_pages(servers: Servers, path: str, body: bytes) -> None:
    """The metrics server answers /proxyMode and /healthz in one word."""
    answer = ask(servers.metrics_port, path)
    assert (answer.status, answer.body) == (200, body)


def test_configz(servers: Servers) -> None:
    """/configz has the configuration as it is given."""
    answer = ask(servers.metrics_port, "/configz")
    assert answer.headers["Content-Type"] == "application/json"
    assert json.loads(answer.body) == CONFIG


@pytest.mark.parametrize("path", ["/metrics", "/healthz", "/proxyMode", "/configz"])
def test_the_metrics_server_is_read_only(servers: Servers, path: str) -> None:
    """Other methods than GET and HEAD are refused, and the answer says which are allowed."""
    answer = ask(servers.metrics_port, path, method="POST")
    assert (answer.status, answer.headers["Allow"]) == (405, "GET, HEAD")
    assert ask(servers.metrics_port, path, method="HEAD").status == 200


def test_no_such_page(servers: Servers) -> None:
    """Paths that mean nothing are not found, on either server."""
    for port in (servers.health_port, servers.metrics_port):
        for path in ("/", "/healthz/", "/metricsz"):
            assert ask(port, path).status == 404, (port, path)


def test_a_configuration_that_cannot_be_told(thread: ServingThread) -> None:
    """A page that fails costs one answer, and the others are still served."""

    def broken() -> dict[str, object]:
        raise RuntimeError("a defect on purpose")

    port = free_port()
    listener = Listener(Endpoint("127.0.0.1", port), metrics_pages(Metrics(Family), broken))
    listener.bind()
    thread.open(listener)
    assert ask(port, "/configz").status == 500
    assert ask(port, "/proxyMode").status == 200
