# SPDX-License-Identifier: Apache-2.0
"""Many Services, and very many endpoints, in the form of a large cluster."""

from __future__ import annotations

from collections import Counter
from ipaddress import ip_address
from socket import AF_INET, AF_INET6, SOCK_DGRAM, socket

import pytest

from lab import NodeLab, Refused, wait_until
from rules import names
from rules.ir import Family, TableName
from rules.model import ObjectKey, ServiceState
from tests.address_plan import AddressPlan
from tests.builders import endpoint_slice, local, remote, service, service_port, state
from tests.kernel.node import KernelNode
from tests.kernel.traffic import LOCAL, answer, at_once, tcp, udp

_MANY = 60
_SOME = (0, 1, _MANY // 2, _MANY - 1)
_VERY_MANY = 200
_FLOWS = 2000
_FIRST_SOURCE_PORT = 10000

pytestmark = pytest.mark.parametrize("node", [True], ids=["large"], indirect=True)


def _vip(plan: AddressPlan, number: int) -> str:
    """So far apart that it takes more than two steps of the tree to tell all of them."""
    return str(ip_address(plan.other_cluster_ip) + 1 + number * 7)


def _node_port(number: int) -> int:
    """So far apart that it takes two steps of the tree, too."""
    return 30000 + number * 7


def _service(plan: AddressPlan, number: int, *, is_served: bool) -> ServiceState:
    """A Service of its own by TCP and UDP, of which the local pod may be the only endpoint."""
    key = ObjectKey("default", f"web-{number:02}")
    node_port = _node_port(number)
    ports = tuple(service_port(protocol=one, node_port=node_port) for one in ("tcp", "udp"))
    made = service(plan, key=key, cluster_ips=(_vip(plan, number),), ports=ports)
    endpoints = [local(plan.local_pod)] if is_served else []
    return ServiceState(made, (endpoint_slice(plan, *endpoints, owner=key),))


def _services(plan: AddressPlan, many: int, *, is_served: bool = True) -> list[ServiceState]:
    return [_service(plan, number, is_served=is_served) for number in range(many)]


def _tree(node: KernelNode, plan: AddressPlan) -> list[str]:
    return [chain for _, chain in node.contents(plan) if names.is_dispatch_chain(chain)]


def test_every_service_is_found(node: KernelNode, machines: NodeLab, plan: AddressPlan) -> None:
    """The first, the last and those between answer, by cluster IP and by node port."""
    node.program(plan, *_services(plan, _MANY))

    assert _tree(node, plan)
    assert len(node.chain(plan, TableName.NAT, names.SERVICES)) < _MANY // 2
    assert len(node.chain(plan, TableName.NAT, names.NODE_PORTS)) < _MANY // 2
    for number in _SOME:
        assert answer(machines.client, tcp(_vip(plan, number))).by == LOCAL.name
        for target in (tcp, udp):
            by_node_port = target(plan.node_ip, _node_port(number))
            assert answer(machines.client, by_node_port).by == LOCAL.name


def test_every_unserved_service_refuses(
    node: KernelNode, machines: NodeLab, plan: AddressPlan
) -> None:
    """The rules that refuse stand in a tree, too, and refuse at once."""
    node.program(plan, *_services(plan, _MANY, is_served=False))

    assert _tree(node, plan)
    for number in _SOME:
        assert at_once(machines.client, udp(_vip(plan, number))) == Refused()


def test_the_tree_follows_its_services(
    node: KernelNode, machines: NodeLab, plan: AddressPlan
) -> None:
    """One more Service edits a chain or two; with few Services no tree is left."""
    node.program(plan, *_services(plan, _MANY))
    report = node.program(plan, *_services(plan, _MANY + 1))

    changes = report.tables[TableName.NAT].changes
    assert changes.rules_deleted <= 4
    assert answer(machines.client, tcp(_vip(plan, _MANY))).by == LOCAL.name

    node.program(plan, *_services(plan, 2))

    assert _tree(node, plan) == []
    assert answer(machines.client, tcp(_vip(plan, 1))).by == LOCAL.name


def _send(machines: NodeLab, plan: AddressPlan, count: int) -> None:
    """So many flows to the VIP; nobody has to be there to answer them."""
    family = AF_INET if plan.family is Family.IPV4 else AF_INET6
    with machines.client.entered():
        for number in range(count):
            with socket(family, SOCK_DGRAM) as asking:
                asking.bind(("", _FIRST_SOURCE_PORT + number))
                asking.sendto(b"", (plan.cluster_ip, 80))


def test_groups_share_evenly(node: KernelNode, machines: NodeLab, plan: AddressPlan) -> None:
    """Each of very many endpoints has its odds, give or take chance (5 standard deviations)."""
    pods = [str(ip_address(plan.remote_pod) + 1 + number) for number in range(_VERY_MANY)]
    node.program(plan, state(plan, *map(remote, pods), ports=(service_port(protocol="udp"),)))

    _send(machines, plan, _FLOWS)

    wait_until("all flows are translated", lambda: sum(_choices(node, plan).values()) == _FLOWS)
    chosen = _choices(node, plan)
    sizes = {chain: len(node.chain(plan, TableName.NAT, chain)) for chain in chosen}
    assert sum(sizes.values()) == _VERY_MANY
    for chain, size in sizes.items():
        share = size / _VERY_MANY
        deviation = (_FLOWS * share * (1 - share)) ** 0.5
        assert abs(chosen[chain] - _FLOWS * share) < 5 * deviation


def _choices(node: KernelNode, plan: AddressPlan) -> Counter[str]:
    """How many flows were translated by the rules of each group."""
    chains = [chain for _, chain in node.contents(plan) if names.is_group_chain(chain)]
    return Counter({chain: sum(node.packets(plan, TableName.NAT, chain)) for chain in chains})
