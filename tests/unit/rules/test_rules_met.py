# SPDX-License-Identifier: Apache-2.0
"""How many rules a packet is compared with on its way, in clusters with thousands of VIPs."""

from __future__ import annotations

from collections import Counter
from functools import cache
from ipaddress import ip_address
from typing import Final

import pytest

from rules.build import build
from rules.ir import BUILT_IN_CHAINS, TableName, Tables, is_jump
from rules.model import ObjectKey, ServiceState, TrafficPolicy
from rules.trace.packet import Packet
from rules.trace.rule_set import ForeignRule, RuleSet, desired_rule_set
from rules.trace.tracer import Fate, Path, Tracer
from tests.address_plan import IPV4
from tests.builders import context, local, remote, service_port, state

_EXTERNAL_IPS: Final = 9
"""Of each Service, so that thousands of VIPs are built in a second or two."""
_NODE_PORTS: Final = range(30000, 32768)
_FIRST_HEALTH_CHECK_PORT: Final = 10000
_FIRST_CLUSTER_IP: Final = ip_address("10.96.0.1")
_FIRST_EXTERNAL_IP: Final = ip_address("198.18.0.0")
_LOCAL_NETWORKS: Final = (IPV4.loopback_network, IPV4.host(IPV4.node_ip))
_OTHER_POD: Final = "10.244.77.9"
_MOST: Final = 90
"""In one table, on all its hooks together."""
_SOME_KINDS: Final = 4
"""Of Services, which take turns: see :func:`_service`."""


def _cluster_ip(number: int) -> str:
    """Spread over a network of the usual size, as kube-apiserver allots them."""
    return str(_FIRST_CLUSTER_IP + number * 7919 % (1 << 20))


def _external_ip(number: int, index: int) -> str:
    return str(_FIRST_EXTERNAL_IP + number * _EXTERNAL_IPS + index)


def _service(number: int) -> ServiceState:
    """Served here, served elsewhere, served elsewhere though policy Local forbids it, or not."""
    here, elsewhere = [local(IPV4.local_pod)], [remote(IPV4.remote_pod)]
    kind = number % _SOME_KINDS
    node_port = _NODE_PORTS[number] if number < len(_NODE_PORTS) else 0
    return state(
        IPV4,
        *(here, elsewhere, elsewhere, [])[kind],
        key=ObjectKey("default", f"web-{number:05}"),
        cluster_ips=(_cluster_ip(number),),
        external_ips=tuple(_external_ip(number, index) for index in range(_EXTERNAL_IPS)),
        ports=(service_port(node_port=node_port),),
        external_traffic_policy=TrafficPolicy.LOCAL if kind in (0, 2) else TrafficPolicy.CLUSTER,
        health_check_node_port=_FIRST_HEALTH_CHECK_PORT + number if kind in (0, 2) else 0,
    )


@cache
def _tables(vips: int) -> Tables:
    services = [_service(number) for number in range(vips // (1 + _EXTERNAL_IPS))]
    return build({one.service.key: one for one in services}, context(IPV4, is_large=True))


def _rules_met(rules: RuleSet, path: Path) -> Counter[TableName]:
    """At most: all rules of the chains that a packet comes to, and of those that are built in."""
    met: Counter[TableName] = Counter()
    for table, chains in BUILT_IN_CHAINS.items():
        met[table] += sum(len(rules[table][chain].rules) for chain in chains)
    for step in path.steps:
        assert not isinstance(step.rule, ForeignRule)
        if is_jump(step.rule.target):
            met[step.table] += len(rules[step.table][str(step.rule.target)].rules)
    return met


@pytest.mark.parametrize("vips", [10_000, 30_000])
@pytest.mark.parametrize("source", [IPV4.node_ip, IPV4.other_local_pod, "203.0.113.99"])
@pytest.mark.parametrize("kind", range(_SOME_KINDS))
def test_a_packet_to_any_vip_meets_tens_of_rules(vips: int, source: str, kind: int) -> None:
    """The first Service and the last, served or refused, by each kind of its addresses."""
    rules = desired_rule_set(_tables(vips))
    count = vips // (1 + _EXTERNAL_IPS)
    are_translated = set()
    for number in (kind, count // 2 + kind, count - _SOME_KINDS + kind):
        destinations = [(_cluster_ip(number), 80)]
        destinations += [(_external_ip(number, index), 80) for index in (0, _EXTERNAL_IPS - 1)]
        if number < len(_NODE_PORTS):
            destinations.append((IPV4.node_ip, _NODE_PORTS[number]))
        for destination, port in destinations:
            path = _path(rules, source, destination, port)
            are_translated.add(path.outcome.is_translated)
            assert max(_rules_met(rules, path).values()) <= _MOST
    assert (True in are_translated) is (kind != _SOME_KINDS - 1)


@pytest.mark.parametrize("vips", [10_000, 30_000])
@pytest.mark.parametrize(
    ("source", "destination", "port"),
    [
        pytest.param(IPV4.other_local_pod, _OTHER_POD, 8080, id="from pod to pod"),
        pytest.param(IPV4.other_local_pod, _OTHER_POD, 30100, id="from pod to pod, high port"),
        pytest.param("203.0.113.99", IPV4.local_pod, 80, id="from outside to pod"),
        pytest.param(IPV4.node_ip, _OTHER_POD, 80, id="from node to pod"),
        pytest.param(IPV4.node_ip, "192.0.2.250", 6443, id="from node to outside"),
        pytest.param(IPV4.other_local_pod, "10.97.255.254", 443, id="next to cluster IPs"),
        pytest.param("203.0.113.99", IPV4.node_ip, 22, id="to the node"),
        pytest.param("203.0.113.99", IPV4.node_ip, 31999, id="to the node, next to node ports"),
        pytest.param("203.0.113.99", IPV4.node_ip, 10000, id="health check"),
    ],
)
def test_a_packet_to_no_service_meets_tens_of_rules(
    vips: int, source: str, destination: str, port: int
) -> None:
    """It pays for all Services and uses none."""
    rules = desired_rule_set(_tables(vips))
    path = _path(rules, source, destination, port)

    assert path.outcome.fate in (Fate.SENT, Fate.DELIVERED, Fate.REJECTED)
    assert max(_rules_met(rules, path).values()) <= _MOST


def _path(rules: RuleSet, source: str, destination: str, port: int) -> Path:
    packet = Packet(
        protocol="tcp",
        source=source,
        destination=destination,
        destination_port=port,
        in_interface="eth0",
        is_from_this_node=source == IPV4.node_ip,
    )
    (path,) = Tracer(rules, _LOCAL_NETWORKS).paths(packet)
    return path
