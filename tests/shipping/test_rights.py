# SPDX-License-Identifier: Apache-2.0
"""The ClusterRole against the requests that the program really makes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Condition, Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from dataplane.reports.cluster_events import ClusterEventRecorder
from dataplane.reports.events import ServiceEvent
from dataplane.sources.api import ApiServer
from dataplane.sources.base import LoggingObserver
from dataplane.sources.cluster import ClusterSource
from dataplane.state import ClusterState
from rules.model import ObjectKey
from tests.shipping.places import objects

Right = tuple[str, str, str]
"""API group, resource and verb."""

_WEB = ObjectKey("default", "web")


class Gatekeeper(ThreadingHTTPServer):
    """An API server that notes which right each request needs, and has hardly any objects."""

    daemon_threads = False

    def __init__(self) -> None:
        self.changed = Condition()
        self.rights: set[Right] = set()
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_port}"

    def wait_for(self, rights: set[Right]) -> None:
        """Wait until requests came that need all of ``rights``."""
        with self.changed:
            self.changed.wait_for(lambda: rights <= self.rights, timeout=10.0)


class _Handler(BaseHTTPRequestHandler):
    server: Gatekeeper

    def do_GET(self) -> None:
        """Answer a list with one object, and end a watch at once."""
        query = parse_qs(urlsplit(self.path).query)
        is_watch = "watch" in query
        self._note("watch" if is_watch else "list")
        items = [{"metadata": {"uid": "1"}}] if "fieldSelector" in query else []
        page = {"metadata": {"resourceVersion": "1"}, "items": items}
        self._answer(HTTPStatus.OK, b"" if is_watch else json.dumps(page).encode())

    def do_POST(self) -> None:
        """Take an object."""
        self.rfile.read(int(self.headers["Content-Length"]))
        self._note("create")
        self._answer(HTTPStatus.CREATED, b"{}")

    def log_message(self, *_: object) -> None:
        """Say nothing: the test reads the rights instead."""

    def _note(self, verb: str) -> None:
        match urlsplit(self.path).path.split("/")[1:]:
            case ["api", "v1", resource] | ["api", "v1", "namespaces", _, resource]:
                right = ("", resource, verb)
            case ["apis", group, "v1", resource] | [
                "apis",
                group,
                "v1",
                "namespaces",
                _,
                resource,
            ]:
                right = (group, resource, verb)
            case unknown:
                raise AssertionError(unknown)
        with self.server.changed:
            self.server.rights.add(right)
            self.server.changed.notify_all()

    def _answer(self, status: HTTPStatus, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def gatekeeper() -> Iterator[Gatekeeper]:
    """An API server."""
    with Gatekeeper() as server:
        thread = Thread(target=server.serve_forever, args=(0.02,), name="gatekeeper")
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def _granted(rules: list[dict[str, Any]]) -> set[Right]:
    return {
        (group, resource, verb)
        for rule in rules
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def test_the_role_is_exactly_what_is_used(gatekeeper: Gatekeeper) -> None:
    """Sources and events together need every right of the ClusterRole and no other."""
    (role,) = [one for one in objects("rbac.yaml") if one["kind"] == "ClusterRole"]
    granted = _granted(role["rules"])
    api = ApiServer(None, master=gatekeeper.url)
    source = ClusterSource(api, "node-a", ClusterState(lambda: None), LoggingObserver())
    recorder = ClusterEventRecorder(api, "node-a")

    source.start()
    recorder.start()
    recorder.record(ServiceEvent(_WEB, "Reason", "Action", "note"))
    gatekeeper.wait_for(granted)
    source.stop()
    recorder.stop()

    assert gatekeeper.rights == granted


def test_the_role_is_given_to_the_agent() -> None:
    """The binding gives the role to the ServiceAccount that the pods run as."""
    account, role, binding = objects("rbac.yaml")
    (pods,) = objects("daemonset.yaml")

    assert binding["roleRef"]["name"] == role["metadata"]["name"]
    assert binding["subjects"] == [
        {
            "kind": "ServiceAccount",
            "name": account["metadata"]["name"],
            "namespace": account["metadata"]["namespace"],
        }
    ]
    assert pods["spec"]["template"]["spec"]["serviceAccountName"] == account["metadata"]["name"]
    assert pods["metadata"]["namespace"] == account["metadata"]["namespace"]
