# SPDX-License-Identifier: Apache-2.0
"""Nodes to program. Without root or legacy iptables these fixtures fail; nothing is skipped."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import pytest

from lab import Host, Lab, NodeLab, node_lab
from tests.address_plan import PLANS, AddressPlan
from tests.kernel.node import KernelNode
from tests.kernel.traffic import LOCAL_PODS, OTHER_LOCAL, REMOTE_PODS

_POD_PORT: Final = 80


@pytest.fixture(params=PLANS, ids=lambda plan: plan.family.value)
def plan(request: pytest.FixtureRequest) -> AddressPlan:
    """The addresses of each family in turn."""
    chosen: AddressPlan = request.param
    return chosen


@pytest.fixture(scope="module")
def machines() -> Iterator[NodeLab]:
    """Two nodes with two pods each, all listening on the port that services send to."""
    with node_lab(LOCAL_PODS, remote_pods=REMOTE_PODS) as machines:
        # Refusals are ICMP messages: the kernel would send only a few of them a second.
        machines.node.set_sysctl("net.ipv4.icmp_ratelimit", "0")
        machines.node.set_sysctl("net.ipv6.icmp.ratelimit", "0")
        machines.serve(_POD_PORT)
        yield machines


@pytest.fixture(scope="module")
def owner_of_virtual_addresses(machines: NodeLab) -> None:
    """A pod to which the node routes virtual addresses, and which answers there.

    So silence and refusals are the rules' doing: what they let through untranslated is answered.
    """
    owner = machines.pods[OTHER_LOCAL.name]
    found = [
        (address, plan)
        for plan in PLANS
        for address in (plan.cluster_ip, plan.external_ip, plan.ingress_ip)
    ]
    for address, plan in found:
        owner.ip(f"address add {plan.host(address)} dev lo nodad")
        device = f"veth-{OTHER_LOCAL.name}"
        machines.node.ip(f"route add {address} dev {device} onlink via {plan.other_local_pod}")
    machines.lab.serve(owner, _POD_PORT, addresses=[address for address, _ in found])


@pytest.fixture
def node(
    machines: NodeLab, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Iterator[KernelNode]:
    """The node of ``machines``, with empty tables before and after the test.

    Its parameter, if there is one, is whether to build the rules of a large cluster.
    """
    is_large = getattr(request, "param", False)
    yield from _programmable(machines.node, monkeypatch, is_large=is_large)


@pytest.fixture(scope="module")
def lone_machine() -> Iterator[Host]:
    """A machine without links: no packet moves a counter."""
    with Lab() as lab:
        (machine,) = lab.add_hosts("node")
        yield machine


@pytest.fixture
def lone_node(lone_machine: Host, monkeypatch: pytest.MonkeyPatch) -> Iterator[KernelNode]:
    """A node without links, with empty tables before and after the test."""
    yield from _programmable(lone_machine, monkeypatch)


def _programmable(
    host: Host, monkeypatch: pytest.MonkeyPatch, *, is_large: bool = False
) -> Iterator[KernelNode]:
    monkeypatch.setenv("XTABLES_LOCKFILE", str(host.lock_file))
    node = KernelNode(host, is_large=is_large)
    node.wipe()
    yield node
    node.wipe()
