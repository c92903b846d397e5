# SPDX-License-Identifier: Apache-2.0
"""Session affinity in sets: what becomes of clients, and of the sets, in a kernel."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Final

import pytest

from dataplane.diff import differences
from dataplane.kernel import client_sets
from dataplane.kernel.set_support import why_without_sets
from dataplane.settings import Settings, SourceSettings
from dataplane.state import Picture
from lab import NodeLab, Protocol, Target, wait_until
from lab.plan import CLIENT
from rules import names
from rules.affinity import AffinityBackend
from rules.context import ProxyOptions
from rules.ir import ClientSet, TableName
from rules.model import ObjectKey, ServiceState
from rules.trace.errors import UnknownRuleError
from tests.address_plan import PLANS, THIS_NODE, AddressPlan
from tests.builders import endpoint_slice, local, remote, service_port, state
from tests.builders import node as this_node
from tests.kernel.node import KernelNode, in_both_layouts
from tests.kernel.privileges import without_privileges
from tests.kernel.sets import members, restore_sets, set_names
from tests.kernel.tracing import Sender, live_paths
from tests.kernel.traffic import LOCAL, REMOTE, answer, of, tcp
from tests.printed import sep

_MANY: Final = 240
"""Clients of two endpoints: more than lists of 100 each remember."""
_CLIENTS: Final = {"ipv4": "198.51.101.{}", "ipv6": "2001:db8:c:1::{}"}
_NETWORKS: Final = ("198.51.101.0/24", "2001:db8:c:1::/64")
_OTHER: Final = ObjectKey("default", "other")
_SETS: Final = AffinityBackend.IPSET


@pytest.fixture(scope="module")
def many_clients(machines: NodeLab) -> Iterator[None]:
    """The outside machine has all addresses of two networks."""
    machines.client.set_sysctl("net.ipv6.ip_nonlocal_bind", "1")
    routes = [f"route add local {network} dev lo" for network in _NETWORKS]
    machines.client.ip(*routes)
    yield
    machines.client.ip(*(route.replace("add", "del") for route in routes))


def _sticky(
    plan: AddressPlan, *pods: str, seconds: int = 600, protocol: str = "tcp"
) -> ServiceState:
    """A Service with session affinity."""
    endpoints = [local(pod) if pod == plan.local_pod else remote(pod) for pod in pods]
    ports = (service_port(protocol=protocol),)
    return state(plan, *endpoints, ports=ports, affinity_seconds=seconds)


def _two(plan: AddressPlan) -> ServiceState:
    return _sticky(plan, plan.local_pod, plan.remote_pod)


def _set(plan: AddressPlan, pod: str) -> str:
    return names.client_set(sep(plan, pod))


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
    made = _sticky(plan, plan.local_pod, plan.remote_pod, protocol=protocol)
    node.program(plan, made, affinity_backend=_SETS)

    assert _moved(machines, plan, protocol) == 0


@pytest.mark.usefixtures("many_clients")
def test_many_clients_of_lists_move(node: KernelNode, machines: NodeLab, plan: AddressPlan) -> None:
    """With -m recent many of them move: the test above would notice."""
    node.program(plan, _two(plan))

    assert _moved(machines, plan) > _MANY // 5


@in_both_layouts
def test_clients_outlive_the_agent(node: KernelNode, machines: NodeLab, plan: AddressPlan) -> None:
    """A new agent finds the sets and rules as they should be, and the clients in them."""
    node.program(plan, _two(plan), affinity_backend=_SETS)
    pod = answer(machines.client, tcp(plan.cluster_ip)).by
    remembered = {name: members(node.host, name) for name in set_names(node.host)}

    node.restart_agent()
    report = node.program(plan, _two(plan), affinity_backend=_SETS)

    assert all(table.is_empty for table in report.tables.values())
    assert {name: members(node.host, name) for name in set_names(node.host)} == remembered
    assert remembered[_set(plan, dict(_pods(plan))[pod])] == [of(plan, CLIENT)]


def _pods(plan: AddressPlan) -> list[tuple[str, str]]:
    return [(LOCAL.name, plan.local_pod), (REMOTE.name, plan.remote_pod)]


def test_an_endpoint_that_goes_loses_its_clients(
    node: KernelNode, machines: NodeLab, plan: AddressPlan
) -> None:
    """When it comes back it has a set without clients."""
    node.program(plan, _two(plan), affinity_backend=_SETS)
    gone = dict(_pods(plan))[answer(machines.client, tcp(plan.cluster_ip)).by]
    (staying,) = {plan.local_pod, plan.remote_pod} - {gone}
    assert members(node.host, _set(plan, gone)) == [of(plan, CLIENT)]

    node.program(plan, _sticky(plan, staying), affinity_backend=_SETS)
    node.program(plan, _two(plan), affinity_backend=_SETS)

    assert members(node.host, _set(plan, gone)) == []


def test_a_set_stays_for_a_while_after_its_rules(
    lone_node: KernelNode, plan: AddressPlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Programs that list the rules of a moment ago find it; then it is destroyed."""
    lone_node.program(plan, _two(plan), affinity_backend=_SETS)
    lone_node.program(plan, _sticky(plan, plan.local_pod), affinity_backend=_SETS)
    before = set(set_names(lone_node.host))

    monkeypatch.setattr(client_sets, "LINGER_SECONDS", 0)
    lone_node.program(plan, _sticky(plan, plan.local_pod), affinity_backend=_SETS)

    assert before == {_set(plan, plan.local_pod), _set(plan, plan.remote_pod)}
    assert set_names(lone_node.host) == [_set(plan, plan.local_pod)]


def test_a_set_that_others_use_is_emptied(
    node: KernelNode, machines: NodeLab, plan: AddressPlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It cannot be destroyed while a rule of somebody else names it, but it has no clients."""
    monkeypatch.setattr(client_sets, "LINGER_SECONDS", 0)
    node.program(plan, _sticky(plan, plan.local_pod), affinity_backend=_SETS)
    answer(machines.client, tcp(plan.cluster_ip))
    name = _set(plan, plan.local_pod)
    rule = ("INPUT", "-m", "set", "--match-set", name, "src", "-j", "ACCEPT")
    node.iptables(plan, "-A", *rule)

    node.program(plan, _sticky(plan, plan.remote_pod), affinity_backend=_SETS)
    emptied = members(node.host, name)
    node.iptables(plan, "-D", *rule)
    node.program(plan, _sticky(plan, plan.remote_pod), verify=True, affinity_backend=_SETS)

    assert emptied == []
    assert set_names(node.host) == [_set(plan, plan.remote_pod)]


def test_clients_outlive_a_changed_time_out(
    node: KernelNode, machines: NodeLab, plan: AddressPlan
) -> None:
    """It is the rule that says how long a client is remembered, from its next connection on."""
    node.program(plan, _two(plan), affinity_backend=_SETS)
    pod = answer(machines.client, tcp(plan.cluster_ip)).by
    name = _set(plan, dict(_pods(plan))[pod])

    changed = _sticky(plan, plan.local_pod, plan.remote_pod, seconds=60)
    node.program(plan, changed, affinity_backend=_SETS)
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
    for backend in (AffinityBackend.RECENT, _SETS, AffinityBackend.RECENT):
        node.restart_agent()
        node.program(plan, _two(plan), affinity_backend=backend)

        text = "\n".join(node.save(plan))
        assert ("-m recent" in text) is (backend is AffinityBackend.RECENT)
        assert bool(set_names(node.host)) is (backend is _SETS)
        pod = answer(machines.client, tcp(plan.cluster_ip)).by
        assert answer(machines.client, tcp(plan.cluster_ip)).by == pod


def test_cleaning_up_destroys_our_sets_only(lone_node: KernelNode) -> None:
    """Those of the other family stay until it is cleaned up, and those of others for good."""
    theirs = ["KUBE-CLUSTER-IP", "AFF"]
    restore_sets(lone_node.host, [f"create {name} hash:ip timeout 60" for name in theirs])
    for plan in PLANS:
        lone_node.program(plan, _two(plan), affinity_backend=_SETS)
    remaining = []
    for plan in PLANS:
        lone_node.clean_up(plan)
        remaining.append(len(set_names(lone_node.host)))

    assert remaining == [len(theirs) + 2, len(theirs)]
    assert set(set_names(lone_node.host)) == set(theirs)


def test_a_set_that_cannot_be_made_concerns_its_service_only(
    node: KernelNode, machines: NodeLab, plan: AddressPlan
) -> None:
    """The Service is set aside with the reason, and served as soon as the way is free."""
    name = _set(plan, plan.local_pod)
    restore_sets(node.host, [f"create {name} list:set size 8"])
    blocked = _sticky(plan, plan.local_pod)
    slices = (endpoint_slice(plan, remote(plan.remote_pod), owner=_OTHER),)
    other_service = replace(
        blocked.service, key=_OTHER, cluster_ips=(plan.other_cluster_ip,), ports=(service_port(),)
    )
    other = ServiceState(other_service, slices)

    report = node.program(plan, blocked, other, affinity_backend=_SETS)

    assert list(report.set_aside) == [blocked.service.key]
    assert f"no set {name}" in report.set_aside[blocked.service.key]
    assert answer(machines.client, tcp(plan.other_cluster_ip)).by == REMOTE.name

    node.host.run(["ipset", "destroy", name])
    assert not node.program(plan, blocked, other, verify=True, affinity_backend=_SETS).set_aside
    assert answer(machines.client, tcp(plan.cluster_ip)).by == LOCAL.name


@pytest.mark.parametrize("verify", [True, False])
def test_sets_that_others_destroyed_are_made_again(
    node: KernelNode, machines: NodeLab, plan: AddressPlan, *, verify: bool
) -> None:
    """Who empties the table and takes the sets, and even their numbers, is repaired after."""
    node.program(plan, _two(plan), affinity_backend=_SETS)
    node.wipe()
    restore_sets(node.host, [f"create theirs-{number} hash:ip timeout 60" for number in range(4)])

    third = _sticky(plan, plan.local_pod, plan.remote_pod, plan.other_local_pod)
    node.program(plan, third, verify=verify, affinity_backend=_SETS)
    pod = answer(machines.client, tcp(plan.cluster_ip)).by

    assert answer(machines.client, tcp(plan.cluster_ip)).by == pod
    assert not any(members(node.host, f"theirs-{number}") for number in range(4))


def test_a_set_that_went_before_its_rules_came_is_made_again(
    lone_node: KernelNode, plan: AddressPlan
) -> None:
    """A set that no rule names yet may be gone at the commit; the next try asks for all."""
    lone_node.program(plan, affinity_backend=_SETS)
    host = lone_node.host
    with ThreadPoolExecutor(1) as pool:
        with host.lock_file.open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            syncing = pool.submit(lone_node.program, plan, _two(plan), affinity_backend=_SETS)
            wait_until("the sets are made", lambda: len(set_names(host)) == 2)
            host.run(["ipset", "destroy"])
        report = syncing.result()

    assert not report.set_aside
    assert len(set_names(host)) == 2


def test_flushed_sets_are_nobody_s_drift(
    node: KernelNode, machines: NodeLab, plan: AddressPlan
) -> None:
    """Whoever empties a set makes its clients choose anew, and changes nothing else."""
    node.program(plan, _two(plan), affinity_backend=_SETS)
    answer(machines.client, tcp(plan.cluster_ip))
    node.host.run(["ipset", "flush"])

    report = node.program(plan, _two(plan), verify=True, affinity_backend=_SETS)

    assert not report.has_repairs
    pod = answer(machines.client, tcp(plan.cluster_ip)).by
    assert answer(machines.client, tcp(plan.cluster_ip)).by == pod


def test_live_rules_are_followed_through_sets(
    node: KernelNode, machines: NodeLab, plan: AddressPlan
) -> None:
    """A trace names our sets and where they lead, and stops at a set of somebody else."""
    node.program(plan, _two(plan), affinity_backend=_SETS)
    pod = answer(machines.client, tcp(plan.cluster_ip)).by
    device = "veth-outside"
    sender = Sender(machines.client, of(plan, CLIENT), device)
    follow = partial(live_paths, node.host, plan, sender, tcp(plan.cluster_ip))

    (remembered,) = [
        path
        for path in follow()
        if any(one.is_remembered and members(node.host, one.list_name) for one in path.assumptions)
    ]
    assert remembered.outcome.destination == plan.endpoint(dict(_pods(plan))[pod])

    family = "inet" if plan is PLANS[0] else "inet6"
    restore_sets(node.host, [f"create theirs hash:ip family {family}"])
    rule = ("PREROUTING", "-m", "set", "--match-set", "theirs", "src", "-j", "ACCEPT")
    node.iptables(plan, "-t", "nat", "-I", *rule)
    with pytest.raises(UnknownRuleError, match="match set"):
        follow()


@pytest.mark.parametrize("is_programmed", [True, False])
def test_a_comparison_knows_sets(
    lone_node: KernelNode, plan: AddressPlan, *, is_programmed: bool
) -> None:
    """Rules that name sets are the same in the kernel, or missing there with their sets."""
    if is_programmed:
        lone_node.program(plan, _two(plan), affinity_backend=_SETS)
    settings = Settings(
        source=SourceSettings(node_name=THIS_NODE),
        options=ProxyOptions(cluster_cidrs=(plan.cluster_cidr,), affinity_backend=_SETS),
    )
    made = _two(plan)
    picture = Picture({made.service.key: made}, this_node(plan))

    with lone_node.host.entered():
        found = differences(settings, picture, (plan.family,))

    missing = [line for one in found for line in one.desired or ()]
    line = f"-j SET --add-set {_set(plan, plan.local_pod)} src --exist --timeout 600"
    assert any(text.endswith(line) for text in missing) is not is_programmed
    assert bool(found) is not is_programmed


def test_a_kernel_that_tells_nothing_refuses_each_set(
    lone_node: KernelNode, plan: AddressPlan
) -> None:
    """The reason is told to who needs the set, and nobody is kept from going on without one."""
    with lone_node.host.entered(), without_privileges():
        sets = client_sets.ClientSets(plan.family)
        sets.provide([ClientSet("KUBE-AFF-X", 60)])
        sets.withdraw([])

    with pytest.raises(client_sets.MissingSetError, match=r"KUBE-AFF-X .* Operation not permitted"):
        sets.indices["KUBE-AFF-X"]


def test_what_a_kernel_lacks_is_told(lone_node: KernelNode, plan: AddressPlan) -> None:
    """This one has sets, if it may be asked; the trial leaves nothing."""
    with lone_node.host.entered():
        assert why_without_sets(plan.family) == ""
        with without_privileges():
            lacking = why_without_sets(plan.family)

    assert "Operation not permitted" in lacking
    assert set_names(lone_node.host) == []


def test_each_set_is_named_by_two_rules(lone_node: KernelNode, plan: AddressPlan) -> None:
    """A policy chain looks for the client there, and the endpoint's own remembers it."""
    lone_node.program(plan, _two(plan), affinity_backend=_SETS)

    rules = lone_node.contents(plan)
    lines = [line for key, some in rules.items() if key[0] == TableName.NAT.value for line in some]
    assert {name: sum(name in line for line in lines) for name in set_names(lone_node.host)} == {
        _set(plan, pod): 2 for pod in (plan.local_pod, plan.remote_pod)
    }
