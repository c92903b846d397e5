# SPDX-License-Identifier: Apache-2.0
"""``dataplane services`` and ``dataplane top``: what the kernel has counted, for people to see."""

from __future__ import annotations

import json
import signal
import socket
from typing import Any, Final

import pytest

from lab import wait_until
from tests.address_plan import IPV4
from tests.apiserver import FakeApiServer
from tests.apiserver.objects import endpoint_slice, node, service
from tests.command.http import METRICS_PORT, get
from tests.command.site import COMMAND, Site
from tests.command.terminal import in_terminal

_VIP: Final = ("10.96.0.10", 80)
_ENDPOINT: Final = "10.244.1.2"
_SOME: Final = 5
_MANY: Final = 137
"""A number that stands nowhere else on the screen."""


@pytest.fixture(autouse=True)
def _programmed(site: Site) -> None:
    """A Service whose endpoint is an address of the node, as the agent programs it."""
    site.host.ip(f"address replace {_ENDPOINT}/32 dev lo", f"route replace {_VIP[0]}/32 dev lo")
    site.write("web.yaml", service(), endpoint_slice(address=_ENDPOINT))
    _program(site)


def _program(site: Site) -> None:
    agent = site.start("-v=4")
    agent.wait_for("synced ipv6")
    agent.end(signal.SIGTERM)


def _connect(site: Site, times: int) -> None:
    """Nobody listens: what is counted is the attempt."""
    for _ in range(times):
        with site.host.entered(), pytest.raises(ConnectionRefusedError):
            socket.create_connection(_VIP, timeout=2)


def _arguments(site: Site, command: str, *flags: str) -> list[str]:
    return [command, f"--manifests={site.manifests}", "--hostname-override=node-a", *flags]


def _services(site: Site, *flags: str) -> Any:  # noqa: ANN401 - a document of any form
    done = site.command(*_arguments(site, "services", "--output=json", *flags))
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)["services"]


def test_connections_are_told_as_a_table(site: Site) -> None:
    """With the address, the policy and the endpoints of the service port, and a rate."""
    _connect(site, _SOME)

    done = site.command(*_arguments(site, "services", "--endpoints", "--interval=0.1"))

    assert (done.returncode, done.stderr) == (0, "")
    headings, row, endpoint = (line.split() for line in done.stdout.splitlines())
    assert headings[:2] == ["SERVICE", "PORT"]
    assert row == [
        *("default/web", "tcp", "10.96.0.10:80", "Cluster", "1,", "1", "local"),
        *(str(_SOME), "0.0", "0", "0"),
    ]
    assert endpoint == [f"{_ENDPOINT}:8080", "local", str(_SOME), "0.0"]


def test_connections_are_told_for_programs(site: Site) -> None:
    """Without an interval the rates are null."""
    _connect(site, _SOME)

    (one,) = _services(site, "--interval=0")

    assert one == {
        "namespace": "default",
        "service": "web",
        "servicePort": "default/web",
        "family": "ipv4",
        "protocol": "tcp",
        "addresses": [{"kind": "clusterIP", "address": "10.96.0.10:80"}],
        "internalTrafficPolicy": "Cluster",
        "externalTrafficPolicy": None,
        "endpoints": [
            {
                "endpoint": f"{_ENDPOINT}:8080",
                "local": True,
                "connections": _SOME,
                "connectionsPerSecond": None,
            }
        ],
        "connections": _SOME,
        "connectionsPerSecond": None,
        "dropped": {"sourceRanges": 0, "noLocalEndpoints": 0},
        "droppedPerSecond": None,
        "rejected": 0,
        "rejectedPerSecond": None,
    }


def test_numbers_outlive_the_agent(site: Site) -> None:
    """They are the kernel's: an agent that starts again finds them, and goes on."""
    _connect(site, _SOME)
    _program(site)
    _connect(site, 1)

    (one,) = _services(site, "--interval=0")

    assert one["connections"] == _SOME + 1


def test_top_follows_connections_and_services(site: Site) -> None:
    """New connections and a new Service are shown; e shows endpoints, and q ends it with 0."""
    arguments = _arguments(site, "top", "--interval=0.2", "--family=ipv4")
    with in_terminal(site.host, [COMMAND, *arguments]) as terminal:
        terminal.wait_for("default/web")
        _connect(site, _MANY)
        terminal.wait_for(f"{_MANY}")
        site.write(
            "other.yaml", service("other", clusterIP="10.96.0.11", clusterIPs=["10.96.0.11"])
        )
        terminal.wait_for("default/other")
        terminal.type("e")
        terminal.wait_for(f"{_ENDPOINT}:8080")
        terminal.type("q")

        assert terminal.end() == 0


def test_top_shows_what_a_small_terminal_has_room_for(site: Site) -> None:
    """Of two rows the first or, after a key, the second; and no more columns than there are."""
    site.write("other.yaml", service("other", clusterIP="10.96.0.11", clusterIPs=["10.96.0.11"]))
    _connect(site, 1)
    arguments = _arguments(site, "top", "--interval=60", "--family=ipv4")
    with in_terminal(site.host, [COMMAND, *arguments], size=(3, 20)) as terminal:
        terminal.wait_for("default/web")
        terminal.type("\x1bOB")
        terminal.wait_for("other")
        terminal.type("q")

        assert terminal.end() == 0


def test_top_follows_a_cluster(site: Site, server: FakeApiServer) -> None:
    """It says what it waits for, shows the Services at once, and tells if news come no more."""
    arguments = ["top", f"--kubeconfig={server.kubeconfig(site.folder)}", "--interval=1"]
    with in_terminal(
        site.host, [COMMAND, *arguments, "--hostname-override=node-a", "--family=ipv4"]
    ) as terminal:
        terminal.wait_for("node-a is not registered in the cluster")
        server.put(node("node-a"))
        terminal.wait_for("default/web")
        server.go_away()
        terminal.wait_for("endpointslices: ")
        terminal.type("q")

        assert terminal.end() == 0


@pytest.mark.parametrize("command", ["services", "top"])
def test_privileges_are_needed(site: Site, command: str) -> None:
    """A sentence says which."""
    done = site.without_privileges(*_arguments(site, command))

    assert (done.returncode, done.stdout) == (1, "")
    assert "run it as root, or with the capabilities NET_ADMIN and NET_RAW" in done.stderr


def test_top_needs_a_terminal(site: Site) -> None:
    """Elsewhere it names the command that prints once."""
    done = site.command(*_arguments(site, "top"))

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "dataplane: top needs a terminal; dataplane services prints the table once\n"
    )


def _samples(site: Site) -> dict[str, float]:
    """The metrics of Services that are not zero."""
    lines = get(site.host, METRICS_PORT, "/metrics").body.splitlines()
    pairs = (line.rsplit(" ", 1) for line in lines if line.startswith("dataplane_service_"))
    return {name: float(value) for name, value in pairs if float(value)}


def test_metrics_tell_of_services(site: Site) -> None:
    """Up to the limit by name, the others together; from the agent's start on."""
    other = service("other", clusterIP="10.96.0.11", clusterIPs=["10.96.0.11"])
    site.write("other.yaml", other)
    _connect(site, _SOME)
    site.start("-v=4", "--metrics-per-service=1").wait_for("synced ipv6")
    assert _samples(site) == {}

    _connect(site, _MANY)
    site.write("web.yaml", service(), endpoint_slice(address=_ENDPOINT), endpoint_slice("web-2"))

    name = 'dataplane_service_connections_total{ip_family="IPv4",namespace="default",service="web"}'
    wait_until("a scrape tells of all", lambda: _samples(site) == {name: _MANY})


def test_metrics_tell_nothing_of_services_unless_asked(site: Site) -> None:
    """Each Service would be some series more in everybody's Prometheus."""
    site.start("-v=4").wait_for("synced ipv6")

    assert "dataplane_service_" not in get(site.host, METRICS_PORT, "/metrics").body


def test_metrics_do_not_fall_with_the_kernels_counters(site: Site) -> None:
    """Somebody flushes the table; the rules that replace the lost ones begin at zero."""
    site.start("-v=4", "--metrics-per-service=1").wait_for("synced ipv6")
    _connect(site, _SOME)
    wait_until("a scrape tells of them", lambda: sum(_samples(site).values()) == _SOME)
    site.node.iptables(IPV4, "-t", "nat", "-F")
    site.wait_for_destinations(f"{_ENDPOINT}:8080")

    _connect(site, 2)

    wait_until("a scrape tells of all", lambda: sum(_samples(site).values()) == _SOME + 2)
