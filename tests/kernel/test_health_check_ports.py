# SPDX-License-Identifier: Apache-2.0
"""Load balancers that ask a node over the network: served by our ports, let in by our rules."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from http.client import HTTPConnection

import pytest

from dataplane.serving.health_checks import ServiceHealthServers
from dataplane.serving.loop import ServingThread
from lab import Host, NodeLab, Refused, Target, TimedOut, probe, wait_until
from lab.plan import GATEWAY
from rules.health_checks import health_check_services, listening_addresses
from rules.ir import Family
from rules.model import ServiceState, ServiceType, SliceEndpoint, TrafficPolicy
from tests.address_plan import IPV4, IPV6, AddressPlan
from tests.builders import context, local, remote, state
from tests.kernel.node import KernelNode
from tests.kernel.traffic import LOCAL, if_dropped, of

PORT = 32100
OTHER_PORT = 32101


@pytest.fixture
def servers(machines: NodeLab) -> Iterator[ServiceHealthServers]:
    """The servers of an agent on the node; a thread lives where it was started."""
    thread = ServingThread()
    with machines.node.entered():
        thread.start()
    yield ServiceHealthServers(
        thread, is_proxy_healthy=lambda: True, on_unavailable=lambda *_: None
    )
    thread.stop()


def _balanced(plan: AddressPlan, *endpoints: SliceEndpoint) -> ServiceState:
    return state(
        plan,
        *endpoints,
        type=ServiceType.LOAD_BALANCER,
        ingress_ips=(plan.ingress_ip,),
        external_traffic_policy=TrafficPolicy.LOCAL,
        health_check_node_port=PORT,
    )


def _sync(
    node: KernelNode,
    servers: ServiceHealthServers,
    plan: AddressPlan,
    one: ServiceState,
    addresses: tuple[str, ...] = (),
) -> None:
    """What the agent does: first the rules, then the answers."""
    restricted = bool(addresses)
    node.program(plan, one, node_port_addresses=addresses, restrict_node_ports=restricted)
    on_node = context(plan, node_port_addresses=addresses, restrict_node_ports=restricted)
    checks = health_check_services({one.service.key: one}, on_node)
    servers.sync(plan.family, checks, listening_addresses(on_node))


def _connect(host: Host, plan: AddressPlan) -> socket.socket:
    family = socket.AF_INET if plan.family is Family.IPV4 else socket.AF_INET6
    with host.entered():
        client = socket.socket(family, socket.SOCK_STREAM)
    client.settimeout(5)
    try:
        client.connect((plan.node_ip, PORT))
    except OSError:
        client.close()
        raise
    return client


def _wait_until_open(node: Host, plan: AddressPlan) -> None:
    def is_open() -> bool:
        try:
            _connect(node, plan).close()
        except ConnectionRefusedError:
            return False
        return True

    wait_until(f"{plan.node_ip} answers", is_open)


def _ask(host: Host, plan: AddressPlan) -> tuple[int, int]:
    """The status and the number of endpoints that ``host`` is told."""
    client = HTTPConnection(plan.node_ip, PORT)
    client.sock = _connect(host, plan)
    try:
        client.request("GET", "/healthz")
        answer = client.getresponse()
        return answer.status, json.loads(answer.read())["localEndpoints"]
    finally:
        client.close()


def test_a_load_balancer_follows_the_endpoints(
    node: KernelNode, servers: ServiceHealthServers, machines: NodeLab, plan: AddressPlan
) -> None:
    """The node is good while it has endpoints, and to be avoided when the last one is elsewhere."""
    _sync(node, servers, plan, _balanced(plan, local(plan.local_pod), remote(plan.remote_pod)))
    _wait_until_open(machines.node, plan)
    assert _ask(machines.client, plan) == (200, 1)

    _sync(node, servers, plan, _balanced(plan, remote(plan.remote_pod)))
    assert _ask(machines.client, plan) == (503, 0)


def test_a_closed_firewall_lets_health_checks_in(
    node: KernelNode, servers: ServiceHealthServers, machines: NodeLab, plan: AddressPlan
) -> None:
    """Where everything else is dropped, our rules let load balancers ask, and only on that port."""
    _sync(node, servers, plan, _balanced(plan, local(plan.local_pod)))
    _wait_until_open(machines.node, plan)
    if plan.family is Family.IPV6:
        # Without its neighbours a node answers nobody.
        node.iptables(plan, "-A", "INPUT", "-p", "icmpv6", "-j", "ACCEPT")
    node.iptables(plan, "-P", "INPUT", "DROP")

    assert _ask(machines.client, plan) == (200, 1)
    assert if_dropped(machines.client, Target(plan.node_ip, OTHER_PORT)) == TimedOut()


def test_restricted_node_ports_restrict_health_checks(
    node: KernelNode, servers: ServiceHealthServers, machines: NodeLab, plan: AddressPlan
) -> None:
    """Health is told where node ports are served, and nowhere else."""
    _sync(node, servers, plan, _balanced(plan, local(plan.local_pod)), (plan.node_ip,))
    _wait_until_open(machines.node, plan)
    assert _ask(machines.client, plan) == (200, 1)
    pod = machines.pods[LOCAL.name]
    assert probe(pod, Target(of(plan, GATEWAY), PORT)) == Refused()


def test_both_families_on_one_port(
    node: KernelNode, servers: ServiceHealthServers, machines: NodeLab
) -> None:
    """Load balancers of both families ask on the same port; each is told of its own endpoints."""
    ipv6 = _balanced(IPV6, local(IPV6.local_pod), local(IPV6.other_local_pod))
    for plan, one in ((IPV4, _balanced(IPV4, local(IPV4.local_pod))), (IPV6, ipv6)):
        _sync(node, servers, plan, one)
        _wait_until_open(machines.node, plan)
    assert [_ask(machines.client, plan) for plan in (IPV4, IPV6)] == [(200, 1), (200, 2)]
