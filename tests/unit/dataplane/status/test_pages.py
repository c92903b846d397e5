# SPDX-License-Identifier: Apache-2.0
"""What a browser gets under /status, over real sockets."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from dataplane.reports.health import ProxyHealth
from dataplane.reports.metrics import Metrics
from dataplane.serving.listener import Endpoint, Listener
from dataplane.serving.loop import ServingThread
from dataplane.serving.pages import metrics_pages
from dataplane.settings import Settings, SourceSettings
from dataplane.status.board import StatusBoard
from dataplane.status.pages import StatusSources, status_pages
from dataplane.status.worker import Worker
from rules.ir import Family
from tests.unit.dataplane.serving.support import Answer, ask, free_port
from tests.unit.dataplane.status.outcomes import NODE, outcome

STATIC = Path(__file__).parents[4] / "dataplane/serving/static"
API = ("summary", "syncs", "services", "trace", "diff")
FILES = ("/status", "/status.css", "/status.js", "/status/way.js", "/status/icon.svg")


class Page:
    """The pages of one agent, and what its sync loop leaves for them."""

    def __init__(self, thread: ServingThread, worker: Worker) -> None:
        self.board = StatusBoard()
        self.port = free_port()
        settings = Settings(source=SourceSettings(node_name=NODE))
        health = ProxyHealth(Family, 60.0)
        pages = status_pages(StatusSources(settings, (), health, self.board, worker))
        answers = metrics_pages(Metrics(Family), dict, pages)
        listener = Listener(Endpoint("127.0.0.1", self.port), answers)
        listener.bind()
        thread.open(listener)

    def get(self, path: str) -> Answer:
        """The answer to one question."""
        return ask(self.port, path)

    def api(self, question: str, status: int = 200) -> Any:  # noqa: ANN401 - any JSON
        """What the API says, with the status that is expected."""
        answer = self.get(f"/status/api/{question}")
        assert answer.status == status, answer
        assert answer.headers["Content-Type"] == "application/json"
        return json.loads(answer.body)


@pytest.fixture
def page(thread: ServingThread) -> Iterator[Page]:
    """Pages of an agent that has not synced yet."""
    worker = Worker()
    yield Page(thread, worker)
    worker.stop()


def test_each_file_for_the_browser_is_served(page: Page) -> None:
    """What the folder has can be had, and nothing else; the page names no other host."""
    served = {name: page.get(path).body for path, name in _paths().items()}

    assert served == {path.name: path.read_bytes() for path in STATIC.iterdir()}
    assert page.get("/status/../pages.py").status == 404
    assert page.get("/status/status.css").status == 404


def _paths() -> dict[str, str]:
    paths = {"/status": "status.html", "/status.css": "status.css", "/status.js": "status.js"}
    others = {path.name for path in STATIC.iterdir()} - set(paths.values())
    return paths | {f"/status/{name}": name for name in others}


@pytest.mark.parametrize("path", [*FILES, *(f"/status/api/{name}" for name in API)])
def test_every_answer_is_guarded(page: Page, path: str) -> None:
    """Nothing inline, from elsewhere, in a frame or stored; only to read, and only as this node."""
    answer = page.get(path)
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "no-store"
    assert ask(page.port, path, method="POST").status == 405
    assert _status_as(page.port, path, host="rebound.example:10249") == 421
    assert _status_as(page.port, path, host=f"localhost:{page.port}") == answer.status


def _status_as(port: int, path: str, *, host: str) -> int:
    client = HTTPConnection("127.0.0.1", port, timeout=10)
    client.request("GET", path, headers={"Host": host})
    status = client.getresponse().status
    client.close()
    return status


def test_other_pages_do_not_mind_the_host(page: Page) -> None:
    """Scrapers of /metrics name this node as they like."""
    assert _status_as(page.port, "/metrics", host="node.cluster.example") == 200


def test_before_the_first_sync(page: Page) -> None:
    """There is an overview without numbers, no sync, no service, and no packet can be followed."""
    summary = page.api("summary")

    assert (summary["node"], summary["healthy"], summary["services"]) == (NODE, True, 0)
    assert summary["families"]["ipv4"] == {
        "healthy": True,
        "lastUpdated": None,
        "endpoints": 0,
        "tables": {},
        "setAside": [],
        "isLargeCluster": False,
    }
    assert page.api("syncs") == {"syncs": []}
    assert page.api("services")["services"] == []
    assert "yet" in page.api("trace?from=10.244.1.7&to=10.96.86.198:80", 503)["error"]


def test_after_a_sync(page: Page) -> None:
    """The overview counts endpoints and tells the time of the sync, which is in the list."""
    page.board.succeeded(outcome(Family.IPV4))

    assert page.api("summary")["families"]["ipv4"]["endpoints"] == 2
    assert page.api("summary")["services"] == 1
    assert [one["family"] for one in page.api("syncs")["syncs"]] == ["ipv4"]


def test_a_packet_is_followed_through_what_was_committed(page: Page) -> None:
    """Both endpoints are told with their odds, each rule met, and the same in words."""
    page.board.succeeded(outcome(Family.IPV4))

    traced = page.api("trace?from=203.0.113.10&to=10.96.86.198:80/tcp")

    assert traced["packet"]["source"] == "203.0.113.10"
    assert [path["odds"] for path in traced["paths"]] == ["1/2", "1/2"]
    assert {path["endpoint"] for path in traced["paths"]} == {"10.244.1.2:80", "10.244.2.6:80"}
    assert traced["paths"][0]["steps"][0]["chain"] == "PREROUTING"
    assert (traced["pathCount"], traced["absentCount"]) == (2, 0)
    assert "50.00%  sent to endpoint 10.244.1.2:80" in traced["words"]


def test_of_very_many_ways_only_some_are_told(page: Page) -> None:
    """A Service with hundreds of endpoints has an answer of bounded size that says so."""
    page.board.succeeded(outcome(Family.IPV4, endpoints=300))

    traced = page.api("trace?from=203.0.113.10&to=10.96.86.198:80")

    assert (traced["pathCount"], len(traced["paths"])) == (300, 64)


@pytest.mark.parametrize("question", ["trace?from=me&to=you", "services?limit=0", "summary?x=1"])
def test_bad_questions(page: Page, question: str) -> None:
    """A question that cannot be answered is refused with 400 and the reason."""
    assert page.api(question, 400)["error"]


def test_a_rule_that_asks_for_more_than_was_said(page: Page) -> None:
    """A trace that cannot go on says at which rule, and what is missing."""
    page.board.succeeded(outcome(Family.IPV4, bridge="cni0"))

    error = page.api("trace?from=203.0.113.10&to=10.96.86.198:80", 422)["error"]

    assert "input interface" in error
    assert page.api("trace?from=203.0.113.10&to=10.96.86.198:80&in=cni0")["pathCount"] == 2
