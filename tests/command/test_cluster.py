# SPDX-License-Identifier: Apache-2.0
"""``dataplane run`` with a cluster: real HTTP to an API server that comes and goes."""

from __future__ import annotations

import time
from pathlib import Path

from tests.apiserver import FakeApiServer
from tests.apiserver.objects import endpoint_slice, node, service
from tests.command.http import HEALTHZ_PORT, get
from tests.command.site import NODE_NAME, SYNC_PERIOD_SECONDS, AgentProcess, Site

_HERE = "10.244.1.2:8080"
_SERVICES = "/api/v1/services"


def _start(site: Site, server: FakeApiServer) -> AgentProcess:
    kubeconfig: Path = server.kubeconfig(site.folder)
    return site.start(source=f"--kubeconfig={kubeconfig}")


def test_nothing_is_programmed_before_the_first_full_state(
    site: Site, server: FakeApiServer
) -> None:
    """As long as the Node is missing the kernel is left alone; with it, all is programmed."""
    agent = _start(site, server)
    agent.wait_for(f"{NODE_NAME} is not registered in the cluster")
    server.wait_for(lambda: server.watched_from(_SERVICES))
    assert not site.has_rules

    server.put(node(NODE_NAME))

    site.wait_for_destinations(_HERE)


def test_an_agent_that_waits_for_its_first_state_is_alive(
    site: Site, server: FakeApiServer
) -> None:
    """Nothing is late before there is anything to do: nobody should restart the agent."""
    agent = _start(site, server)
    agent.wait_for(f"{NODE_NAME} is not registered in the cluster")
    server.wait_for(lambda: server.watched_from(_SERVICES))
    asked = time.monotonic()

    # Longer than two sync periods, after which a change that waits makes an agent unhealthy.
    while time.monotonic() < asked + 3 * SYNC_PERIOD_SECONDS:
        assert get(site.host, HEALTHZ_PORT, "/livez").status == 200
        assert agent.is_running


def test_updates_are_followed(site: Site, server: FakeApiServer) -> None:
    """Added, changed and deleted objects change the rules."""
    server.put(node(NODE_NAME))
    _start(site, server)
    site.wait_for_destinations(_HERE)

    server.put(service("more", clusterIP="10.96.0.11", clusterIPs=["10.96.0.11"]))
    server.put(endpoint_slice("more-1", "more", "10.244.3.9"))
    site.wait_for_destinations(_HERE, "10.244.3.9:8080")

    server.put(endpoint_slice(address="10.244.1.3"))
    site.wait_for_destinations("10.244.1.3:8080", "10.244.3.9:8080")

    server.delete("Service", "default", "more")
    site.wait_for_destinations("10.244.1.3:8080")


def test_an_api_server_that_is_away_changes_nothing(site: Site, server: FakeApiServer) -> None:
    """While the server is away rules stay and are repaired; back again, changes are followed."""
    server.put(node(NODE_NAME))
    agent = _start(site, server)
    site.wait_for_destinations(_HERE)
    # Not a moment later, when the watches would only just begin.
    server.wait_for(lambda: server.watched_from(_SERVICES))

    server.go_away()
    agent.wait_for("trying again")
    for _ in range(2):
        site.node.wipe()
        site.wait_for_destinations(_HERE)

    server.put(endpoint_slice(address="10.244.1.3"))
    with site.host.entered():
        server.come_back()
    site.wait_for_destinations("10.244.1.3:8080")


def test_a_bad_object_in_the_cluster(site: Site, server: FakeApiServer) -> None:
    """An object that cannot be used is named with its field; all others are programmed."""
    server.put(node(NODE_NAME))
    server.put(service("wrong", clusterIP="10.96.0.300", clusterIPs=["10.96.0.300"]))

    agent = _start(site, server)

    site.wait_for_destinations(_HERE)
    agent.wait_for("Service default/wrong: spec.clusterIPs[0]: '10.96.0.300' is not an IP address")
