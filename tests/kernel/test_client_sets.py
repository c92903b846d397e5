# SPDX-License-Identifier: Apache-2.0
"""Session affinity in sets: which endpoint clients get, and for how long."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Final

import pytest

from dataplane.kernel import client_sets
from lab import NodeLab, Protocol, Target
from lab.plan import CLIENT, OTHER_CLIENT
from rules.affinity import AffinityBackend
from rules.trace.errors import UnknownRuleError
from tests.address_plan import AddressPlan
from tests.kernel.node import KernelNode, in_both_layouts
from tests.kernel.sets import members, restore_sets, set_names
from tests.kernel.sticky import (
    FAMILY_NAMES,
    SETS,
    pod_addresses,
    set_of,
    sticky,
    with_two_endpoints,
)
from tests.kernel.tracing import Sender, live_paths
from tests.kernel.traffic import LOCAL, REMOTE, answer, of, tcp

_MANY: Final = 240
"""Clients of two endpoints: more than lists of 100 each remember."""
_CLIENTS: Final = {"ipv4": "198.51.101.{}", "ipv6": "2001:db8:c:1::{}"}
_NETWORKS: Final = ("198.51.101.0/24", "2001:db8:c:1::/64")


@pytest.fixture(scope="module")
def many_clients(machines: NodeLab) -> Iterator[None]:
    """The outside machine has all addresses of two networks."""
    machines.client.set_sysctl("net.ipv6.ip_nonlocal_bind", "1")
    routes = [f"route add local {network} dev lo" for network in _NETWORKS]
    machines.client.ip(*routes)
    yield
    machines.client.ip(*(route.replace("add", "del") for route in routes))


def _chosen(machines: NodeLab, plan: AddressPlan, target: Target) -> dict[str, str]:
    """The pod that each of many clients gets."""
    pattern = _CLIENTS[plan.family.value]
    clients = [pattern.format(number + 1) for number in range(_MANY)]
    return {one: answer(machines.client, target, source=one).by for one in clients}


def _moved(machines: NodeLab, plan: AddressPlan, protocol: str = "tcp") -> int:
    """How many of many clients get another pod the second time."""
    target = Target(plan.cluster_ip, 80, Protocol[protocol.upper()])
    first, second = (_chosen(machines, plan, target) for _ in range(2))
    assert set(first.values()) == {LOCAL.name, REMOTE.name}
    return sum(first[client] != second[client] for client in first)


@in_both_layouts
@pytest.mark.usefixtures("many_clients")
@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_no_client_of_many_moves(
    node: KernelNode, machines: NodeLab, plan: AddressPlan, protocol: str
) -> None:
    """Each of 240 clients gets the same one of two endpoints again, by TCP and UDP."""
    made = sticky(plan, plan.local_pod, plan.remote_pod, protocol=protocol)
    node.program(plan, made, affinity_backend=SETS)

    assert _moved(machines, plan, protocol) == 0


@pytest.mark.usefixtures("many_clients")
def test_many_clients_of_lists_move(node: KernelNode, machines: NodeLab, plan: AddressPlan) -> None:
    """With -m recent many of them move: the test above would notice."""
    node.program(plan, with_two_endpoints(plan))

    assert _moved(machines, plan) > _MANY // 5


@in_both_layouts
def test_clients_outlive_the_agent(node: KernelNode, machines: NodeLab, plan: AddressPlan) -> None:
    """A new agent finds the sets and rules as they should be, and the clients in them."""
    node.program(plan, with_two_endpoints(plan), affinity_backend=SETS)
    pod = answer(machines.client, tcp(plan.cluster_ip)).by
    remembered = {name: members(node.host, name) for name in set_names(node.host)}

    node.restart_agent()
    report = node.program(plan, with_two_endpoints(plan), affinity_backend=SETS)

    assert all(table.is_empty for table in report.tables.values())
    assert {name: members(node.host, name) for name in set_names(node.host)} == remembered
    assert remembered[set_of(plan, pod_addresses(plan)[pod])] == [of(plan, CLIENT)]


def test_an_endpoint_that_goes_loses_its_clients(
    node: KernelNode, machines: NodeLab, plan: AddressPlan
) -> None:
    """When it comes back it has a set without clients."""
    node.program(plan, with_two_endpoints(plan), affinity_backend=SETS)
    gone = pod_addresses(plan)[answer(machines.client, tcp(plan.cluster_ip)).by]
    (staying,) = {plan.local_pod, plan.remote_pod} - {gone}
    assert members(node.host, set_of(plan, gone)) == [of(plan, CLIENT)]

    node.program(plan, sticky(plan, staying), affinity_backend=SETS)
    node.program(plan, with_two_endpoints(plan), affinity_backend=SETS)

    assert members(node.host, set_of(plan, gone)) == []


def test_clients_outlive_a_changed_time_out(
    node: KernelNode, machines: NodeLab, plan: AddressPlan
) -> None:
    """It is the rule that says how long a client is remembered, from its next connection on."""
    node.program(plan, with_two_endpoints(plan), affinity_backend=SETS)
    pod = answer(machines.client, tcp(plan.cluster_ip)).by
    name = set_of(plan, pod_addresses(plan)[pod])

    changed = sticky(plan, plan.local_pod, plan.remote_pod, seconds=60)
    node.program(plan, changed, affinity_backend=SETS)
    kept = members(node.host, name)
    answer(machines.client, tcp(plan.cluster_ip))

    assert kept == [of(plan, CLIENT)]
    (member,) = [
        line.split()
        for line in node.host.run(["ipset", "save", name]).stdout.splitlines()
        if line.startswith("add")
    ]
    assert 50 <= int(member[member.index("timeout") + 1]) <= 60


def test_the_other_backend_takes_over(
    node: KernelNode, machines: NodeLab, plan: AddressPlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each way in one sync, after which nothing of the other is left."""
    monkeypatch.setattr(client_sets, "LINGER_SECONDS", 0)
    for backend in (AffinityBackend.RECENT, SETS, AffinityBackend.RECENT):
        node.restart_agent()
        node.program(plan, with_two_endpoints(plan), affinity_backend=backend)

        text = "\n".join(node.save(plan))
        assert ("-m recent" in text) is (backend is AffinityBackend.RECENT)
        assert bool(set_names(node.host)) is (backend is SETS)
        pod = answer(machines.client, tcp(plan.cluster_ip)).by
        assert answer(machines.client, tcp(plan.cluster_ip)).by == pod


def test_a_full_set_stops_nobody(node: KernelNode, machines: NodeLab, plan: AddressPlan) -> None:
    """Who finds no room in it is served, and not remembered; those in it keep their pod."""
    name = set_of(plan, plan.local_pod)
    restore_sets(
        node.host,
        [f"create {name} hash:ip family {FAMILY_NAMES[plan.family]} maxelem 1 timeout 60"],
    )
    node.program(plan, sticky(plan, plan.local_pod), affinity_backend=SETS)

    clients = [of(plan, address) for address in (CLIENT, OTHER_CLIENT)]
    served = [answer(machines.client, tcp(plan.cluster_ip), source=one).by for one in clients]

    assert served == [LOCAL.name] * 2
    assert members(node.host, name) == clients[:1]


def test_flushed_sets_are_nobody_s_drift(
    node: KernelNode, machines: NodeLab, plan: AddressPlan
) -> None:
    """Whoever empties a set makes its clients choose anew, and changes nothing else."""
    node.program(plan, with_two_endpoints(plan), affinity_backend=SETS)
    answer(machines.client, tcp(plan.cluster_ip))
    node.host.run(["ipset", "flush"])

    report = node.program(plan, with_two_endpoints(plan), verify=True, affinity_backend=SETS)

    assert not report.has_repairs
    pod = answer(machines.client, tcp(plan.cluster_ip)).by
    assert answer(machines.client, tcp(plan.cluster_ip)).by == pod


def test_live_rules_are_followed_through_sets(
    node: KernelNode, machines: NodeLab, plan: AddressPlan
) -> None:
    """A trace names our sets and where they lead, and stops at a set of somebody else."""
    node.program(plan, with_two_endpoints(plan), affinity_backend=SETS)
    pod = answer(machines.client, tcp(plan.cluster_ip)).by
    device = "veth-outside"
    sender = Sender(machines.client, of(plan, CLIENT), device)
    follow = partial(live_paths, node.host, plan, sender, tcp(plan.cluster_ip))

    (remembered,) = [
        path
        for path in follow()
        if any(one.is_remembered and members(node.host, one.list_name) for one in path.assumptions)
    ]
    assert remembered.outcome.destination == plan.endpoint(pod_addresses(plan)[pod])

    restore_sets(node.host, [f"create theirs hash:ip family {FAMILY_NAMES[plan.family]}"])
    rule = ("PREROUTING", "-m", "set", "--match-set", "theirs", "src", "-j", "ACCEPT")
    node.iptables(plan, "-t", "nat", "-I", *rule)
    with pytest.raises(UnknownRuleError, match="match set"):
        follow()
