# SPDX-License-Identifier: Apache-2.0
"""The agent in place of a real kube-proxy, and kube-proxy in place of the agent."""

from __future__ import annotations

import signal
from collections.abc import Callable
from subprocess import Popen
from typing import Final

import pytest

from lab import Answered, Outcome, Target, probe, wait_until
from lab.plan import NODE, POD_1, POD_2
from rules import names
from rules.ir import TableName
from tests.address_plan import IPV4, PLANS
from tests.apiserver.objects import endpoint_slice, service
from tests.apiserver.store import JsonObject
from tests.cluster.cluster import Cluster
from tests.cluster.questions import Questioner, questions

_CLUSTER_IP: Final = "10.96.0.20"
_INGRESS_IP: Final = "198.51.100.0"
_NODE_PORT: Final = 30956
_TARGETS: Final = (
    Target(_CLUSTER_IP, 80),
    Target(_INGRESS_IP, 80),
    Target(NODE.ipv4, _NODE_PORT),
)
_TABLES: Final = {table.value for table in TableName}
_SHARED_CHAIN: Final = "KUBE-FIREWALL"
"""Kubelet's too: so nobody removes it, and its jumps stand where the first one put them."""
_START_SECONDS: Final = 30.0
_EXIT_SECONDS: Final = 10.0


def _objects() -> tuple[JsonObject, ...]:
    """A Service that is reached in every way, and one without endpoints."""
    public = service(
        "public",
        type="LoadBalancer",
        clusterIP=_CLUSTER_IP,
        clusterIPs=[_CLUSTER_IP],
        ports=[{"port": 80, "protocol": "TCP", "targetPort": 8080, "nodePort": _NODE_PORT}],
    )
    public["status"] = {"loadBalancer": {"ingress": [{"ip": _INGRESS_IP}]}}
    slice_1 = endpoint_slice("public-1", "public", POD_1.address.ipv4)
    slice_2 = endpoint_slice("public-2", "public", POD_2.address.ipv4)
    empty = service("empty", clusterIP="10.96.0.21", clusterIPs=["10.96.0.21"])
    return public, slice_1, slice_2, empty


@pytest.fixture
def public(cluster: Cluster) -> Cluster:
    """A cluster with the objects above too."""
    cluster.control_plane.put(*_objects())
    return cluster


def _is_served(cluster: Cluster) -> bool:
    outcomes: list[Outcome] = [
        probe(cluster.machines.client, target, timeout_seconds=0.2) for target in _TARGETS
    ]
    return all(isinstance(one, Answered) for one in outcomes)


def _start(cluster: Cluster, start: Callable[[], Popen[bytes]]) -> Popen[bytes]:
    """Start a program on the bare node and wait until it serves all targets."""
    process = start()
    wait_until("all targets are served", lambda: _is_served(cluster), seconds=_START_SECONDS)
    return process


def _end(process: Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    process.wait(_EXIT_SECONDS)


def _wait_until_followed(cluster: Cluster, name: str, address: str) -> None:
    """Add a Service; once its rule stands in each table, the one who follows has synced."""
    cluster.control_plane.put(service(name, clusterIP=address, clusterIPs=[address]))
    wait_until(
        f"{name} is refused by a rule",
        lambda: f"default/{name} has no endpoints" in "\n".join(cluster.node.save(IPV4)),
        seconds=_START_SECONDS,
    )


def _layout(cluster: Cluster) -> dict[str, list[str]]:
    """All chains of the tables that the agent has rules in."""
    return {
        f"{plan.family.value} {table} {chain}": [
            rule for rule in rules if _SHARED_CHAIN not in rule
        ]
        for plan in PLANS
        for (table, chain), rules in cluster.node.contents(plan).items()
        if table in _TABLES and chain != _SHARED_CHAIN
    }


def _failures(asked: list[Questioner]) -> dict[Target, list[Outcome]]:
    return {one.target: one.failures for one in asked if one.failures}


def test_the_agent_takes_over_from_kube_proxy(public: Cluster) -> None:
    """No connection fails when kube-proxy goes and the agent comes, and only our layout is left."""
    kube_proxy = _start(public, public.proxies.start_kube_proxy)

    with questions(public.machines.client, _TARGETS) as asked:
        _end(kube_proxy)
        agent = public.proxies.start_agent()
        _wait_until_followed(public, "after", "10.96.0.22")

    assert _failures(asked) == {}
    taken_over = _layout(public)
    _end(agent)
    public.node.wipe()
    _start(public, public.proxies.start_agent)
    wait_until("a fresh start leads to the same", lambda: _layout(public) == taken_over)


def test_kube_proxy_takes_over_from_the_agent(public: Cluster) -> None:
    """No connection fails on the way back either, and nothing uses a chain that only we have."""
    agent = _start(public, public.proxies.start_agent)

    with questions(public.machines.client, _TARGETS) as asked:
        _end(agent)
        public.proxies.start_kube_proxy()
        _wait_until_followed(public, "back", "10.96.0.23")

    assert _failures(asked) == {}
    layout = _layout(public)
    assert not [chain for chain in layout if names.LOAD_BALANCER_PREFIX in chain]
    assert not [
        rule for rules in layout.values() for rule in rules if f"-j {names.MARK_DROP}" in rule
    ]
