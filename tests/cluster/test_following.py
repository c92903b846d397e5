# SPDX-License-Identifier: Apache-2.0
"""The installed command follows a real API server, and outlasts its absence."""

from __future__ import annotations

from typing import Final

from lab import Answered, Target, probe, probe_times, wait_until
from lab.plan import POD_1, POD_2
from tests.address_plan import IPV4
from tests.apiserver.objects import endpoint_slice, service
from tests.cluster.cluster import Cluster

_WEB: Final = Target("10.96.0.10", 80)
_MORE: Final = Target("10.96.0.11", 80)
_CATCH_UP_SECONDS: Final = 5.0
"""How long after the API server's return a change may wait; kube-proxy takes a minute."""


def _answered_by(cluster: Cluster, target: Target) -> set[str]:
    """The pods that answer, seen from outside of the cluster."""
    outcomes = probe_times(8, cluster.machines.client, target, timeout_seconds=0.5)
    return {one.by if isinstance(one, Answered) else type(one).__name__ for one in outcomes}


def _wait_for_answers(cluster: Cluster, target: Target, *expected: str) -> None:
    wait_until(
        f"{target} is answered by {expected}",
        lambda: _answered_by(cluster, target) == set(expected),
        seconds=20.0,
    )


def test_what_the_cluster_holds_is_programmed(cluster: Cluster) -> None:
    """Services that exist when the agent starts are served."""
    cluster.proxies.start_agent()

    _wait_for_answers(cluster, _WEB, POD_1.name)


def test_changes_are_followed(cluster: Cluster) -> None:
    """Added, changed and deleted objects change who answers."""
    cluster.proxies.start_agent()
    _wait_for_answers(cluster, _WEB, POD_1.name)

    cluster.control_plane.put(
        service("more", clusterIP=_MORE.address, clusterIPs=[_MORE.address]),
        endpoint_slice("more-1", "more", POD_2.address.ipv4),
    )
    _wait_for_answers(cluster, _MORE, POD_2.name)

    cluster.control_plane.put(endpoint_slice(address=POD_2.address.ipv4))
    _wait_for_answers(cluster, _WEB, POD_2.name)

    cluster.control_plane.delete("endpointslice", "web-1")
    _wait_for_answers(cluster, _WEB, "Refused")

    cluster.control_plane.delete("service", "more")
    wait_until("its rules are gone", lambda: _MORE.address not in str(cluster.node.save(IPV4)))


def test_an_api_server_that_is_killed_and_comes_back(cluster: Cluster) -> None:
    """While it is away every rule stays; back again, it is followed within seconds."""
    cluster.proxies.start_agent()
    _wait_for_answers(cluster, _WEB, POD_1.name)
    before = cluster.node.contents(IPV4)

    cluster.control_plane.kill_apiserver()
    wait_until(
        "the agent misses it",
        lambda: cluster.proxies.agent_log.read_text().count("trying again") >= 3,
    )
    assert cluster.node.contents(IPV4) == before
    assert isinstance(probe(cluster.machines.client, _WEB), Answered)

    cluster.control_plane.start_apiserver()
    cluster.control_plane.put(endpoint_slice(address=POD_2.address.ipv4))
    wait_until(
        "the change is followed",
        lambda: _answered_by(cluster, _WEB) == {POD_2.name},
        seconds=_CATCH_UP_SECONDS,
    )
