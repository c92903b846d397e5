# SPDX-License-Identifier: Apache-2.0
"""How an API server is found, and how requests to it fail."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from dataplane.errors import SourceError
from dataplane.sources.api import ApiRequest, ApiServer, RelistNeededError, RequestFailedError
from tests.apiserver import FakeApiServer
from tests.apiserver.objects import service

PATH = "/api/v1/services"


@pytest.fixture
def server() -> Iterator[FakeApiServer]:
    """An API server without objects."""
    with FakeApiServer() as server:
        yield server


def test_request_carries_token_and_query(server: FakeApiServer, tmp_path: Path) -> None:
    """A request has the kubeconfig's token and the query; its body is the server's answer."""
    api = ApiServer(server.kubeconfig(tmp_path))
    response = api.get(PATH, {"labelSelector": "!a/b,!c"}, read_seconds=5)
    assert json.loads(response.read())["items"] == []
    assert server.requests[0].query == {"labelSelector": "!a/b,!c"}


def test_long_lists_come_compressed(server: FakeApiServer, tmp_path: Path) -> None:
    """A short one comes as it is; both are read the same way."""
    api = ApiServer(server.kubeconfig(tmp_path))
    short = api.get(PATH, {}, read_seconds=5)
    for number in range(1000):
        server.put(service(f"s{number}"))
    long = api.get(PATH, {}, read_seconds=5)

    assert json.loads(short.read())["items"] == []
    assert len(json.loads(long.read())["items"]) == 1000
    encodings = [one.headers.get("content-encoding") for one in (short, long)]
    assert encodings == [None, "gzip"]


def test_each_request_is_told(server: FakeApiServer, tmp_path: Path) -> None:
    """Its method, server, code and time: those of a failure too, but no time of a watch."""
    told: list[ApiRequest] = []
    api = ApiServer(server.kubeconfig(tmp_path), on_request=told.append)
    api.get(PATH, {}, read_seconds=5).drain_conn()
    api.get(PATH, {"watch": "true", "resourceVersion": "1"}, read_seconds=5).close()
    with pytest.raises(RequestFailedError):
        api.get("/none", {}, read_seconds=5)
    server.go_away()
    with pytest.raises(RequestFailedError):
        api.get(PATH, {}, read_seconds=5)

    host = server.url.removeprefix("http://")
    assert [(one.method, one.host, one.code) for one in told] == [
        ("GET", host, code) for code in (200, 200, 404, None)
    ]
    assert [one.seconds is None for one in told] == [False, True, False, False]


def test_master_overrides_the_url(server: FakeApiServer, tmp_path: Path) -> None:
    """The URL given by hand wins over the kubeconfig's, whose credentials still count."""
    kubeconfig = server.kubeconfig(tmp_path)
    kubeconfig.write_text(kubeconfig.read_text().replace(server.url, "http://192.0.2.1:1"))
    api = ApiServer(kubeconfig, master=f"{server.url}/")
    for _ in range(2):
        assert api.get(PATH, {}, read_seconds=5).read()
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    "content", ["", "[]", "a: [", "3", "{apiVersion: v1, kind: Config}", "clusters: 3", "\0"]
)
def test_unusable_kubeconfig(content: str, tmp_path: Path) -> None:
    """A kubeconfig that leads nowhere is one clear error that names it."""
    path = tmp_path / "kubeconfig"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(SourceError, match=r"kubeconfig gives no access to a cluster: .+ check"):
        ApiServer(path)


def test_missing_kubeconfig(tmp_path: Path) -> None:
    """A kubeconfig that does not exist is the same error."""
    with pytest.raises(SourceError, match="gives no access to a cluster"):
        ApiServer(tmp_path / "none")


def test_kubeconfig_with_a_colon_in_its_path(server: FakeApiServer, tmp_path: Path) -> None:
    """The error says what is wrong with the path, not that half of it leads nowhere."""
    folder = tmp_path / "10:30"
    folder.mkdir()
    with pytest.raises(SourceError, match=f"{folder}/.+ must not have ':' in it.+; rename"):
        ApiServer(server.kubeconfig(folder))


def test_no_configuration_outside_of_a_pod(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a kubeconfig, outside of a pod, the error says what to give."""
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(SourceError, match=r"configuration of a pod .* check --kubeconfig"):
        ApiServer(None)


def test_refused_connection(server: FakeApiServer, tmp_path: Path) -> None:
    """A server that is away is a failed request, not another error."""
    api = ApiServer(server.kubeconfig(tmp_path))
    server.go_away()
    with pytest.raises(RequestFailedError, match=r"GET /api/v1/services: .*refused"):
        api.get(PATH, {}, read_seconds=5)


@pytest.mark.parametrize(
    ("code", "error"),
    [(500, RequestFailedError), (403, RequestFailedError), (410, RelistNeededError)],
)
def test_failures_carry_the_server_s_words(
    code: int, error: type[Exception], server: FakeApiServer, tmp_path: Path
) -> None:
    """An answer that is no success has the code and the server's message; 410 asks for a list."""
    server.faults.fail(code, times=1)
    with pytest.raises(error, match=f"HTTP {code} this is a fault on purpose"):
        ApiServer(server.kubeconfig(tmp_path)).get(PATH, {}, read_seconds=5)


def test_silent_server_is_given_up(server: FakeApiServer, tmp_path: Path) -> None:
    """A request that is not answered in time fails."""
    api = ApiServer(server.kubeconfig(tmp_path))
    server.store.changed.acquire()
    try:
        with pytest.raises(RequestFailedError, match="timed out"):
            api.get(PATH, {}, read_seconds=0.1)
    finally:
        server.store.changed.release()
