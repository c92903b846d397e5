# SPDX-License-Identifier: Apache-2.0
"""Sets of clients in a kernel: when they are made, whom they concern, and when they go."""

from __future__ import annotations

import fcntl
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Final

import pytest

from dataplane.diff import differences
from dataplane.kernel import client_sets
from dataplane.kernel.set_support import why_without_sets
from dataplane.settings import Settings, SourceSettings
from dataplane.state import Picture
from lab import NodeLab, wait_until
from rules import names
from rules.context import ProxyOptions
from rules.ir import ClientSet, TableName
from rules.model import ObjectKey, ServiceState
from tests.address_plan import PLANS, THIS_NODE, AddressPlan
from tests.builders import endpoint_slice
from tests.builders import node as this_node
from tests.kernel.node import KernelNode
from tests.kernel.privileges import without_privileges
from tests.kernel.sets import members, restore_sets, set_names
from tests.kernel.sticky import (
    SETS,
    set_of,
    sticky,
    with_two_endpoints,
)
from tests.kernel.traffic import LOCAL, REMOTE, answer, tcp

_OTHER: Final = ObjectKey("default", "other")


def _other(plan: AddressPlan, like: ServiceState) -> ServiceState:
    """Another Service with the endpoints of ``like``."""
    service = replace(like.service, key=_OTHER, cluster_ips=(plan.other_cluster_ip,))
    endpoints = like.slices[0].endpoints
    return ServiceState(service, (endpoint_slice(plan, *endpoints, owner=_OTHER),))


def test_a_set_stays_for_a_while_after_its_rules(
    lone_node: KernelNode, plan: AddressPlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Programs that list the rules of a moment ago find it; then it is destroyed."""
    lone_node.program(plan, with_two_endpoints(plan), affinity_backend=SETS)
    lone_node.program(plan, sticky(plan, plan.local_pod), affinity_backend=SETS)
    before = set(set_names(lone_node.host))

    monkeypatch.setattr(client_sets, "LINGER_SECONDS", 0)
    lone_node.program(plan, sticky(plan, plan.local_pod), affinity_backend=SETS)

    assert before == {set_of(plan, plan.local_pod), set_of(plan, plan.remote_pod)}
    assert set_names(lone_node.host) == [set_of(plan, plan.local_pod)]


def test_a_set_that_others_use_is_emptied(
    node: KernelNode, machines: NodeLab, plan: AddressPlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It cannot be destroyed while a rule of somebody else names it, but it has no clients."""
    monkeypatch.setattr(client_sets, "LINGER_SECONDS", 0)
    node.program(plan, sticky(plan, plan.local_pod), affinity_backend=SETS)
    answer(machines.client, tcp(plan.cluster_ip))
    name = set_of(plan, plan.local_pod)
    rule = ("INPUT", "-m", "set", "--match-set", name, "src", "-j", "ACCEPT")
    node.iptables(plan, "-A", *rule)

    node.program(plan, sticky(plan, plan.remote_pod), affinity_backend=SETS)
    emptied = members(node.host, name)
    node.iptables(plan, "-D", *rule)
    node.program(plan, sticky(plan, plan.remote_pod), verify=True, affinity_backend=SETS)

    assert emptied == []
    assert set_names(node.host) == [set_of(plan, plan.remote_pod)]


def test_cleaning_up_destroys_our_sets_only(lone_node: KernelNode) -> None:
    """Those of the other family stay until it is cleaned up, and those of others for good."""
    theirs = ["KUBE-CLUSTER-IP", "AFF"]
    restore_sets(lone_node.host, [f"create {name} hash:ip timeout 60" for name in theirs])
    for plan in PLANS:
        lone_node.program(plan, with_two_endpoints(plan), affinity_backend=SETS)
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
    name = set_of(plan, plan.local_pod)
    restore_sets(node.host, [f"create {name} list:set size 8"])
    blocked = sticky(plan, plan.local_pod)
    other = _other(plan, sticky(plan, plan.remote_pod))

    report = node.program(plan, blocked, other, affinity_backend=SETS)

    assert list(report.set_aside) == [blocked.service.key]
    assert f"no set {name}" in report.set_aside[blocked.service.key]
    assert answer(machines.client, tcp(plan.other_cluster_ip)).by == REMOTE.name

    node.host.run(["ipset", "destroy", name])
    assert not node.program(plan, blocked, other, verify=True, affinity_backend=SETS).set_aside
    assert answer(machines.client, tcp(plan.cluster_ip)).by == LOCAL.name


def test_sets_go_while_a_service_is_set_aside(
    lone_node: KernelNode, plan: AddressPlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What an earlier agent left for that one may stay for long; other endpoints come and go."""
    monkeypatch.setattr(client_sets, "LINGER_SECONDS", 0)
    blocked = _other(plan, sticky(plan, plan.other_local_pod))
    chain = names.endpoint_chain("default/other", "tcp", plan.endpoint(plan.other_local_pod))
    in_the_way = names.client_set(chain)
    restore_sets(lone_node.host, [f"create {in_the_way} list:set size 8"])

    report = lone_node.program(plan, with_two_endpoints(plan), blocked, affinity_backend=SETS)
    lone_node.program(plan, sticky(plan, plan.local_pod), blocked, affinity_backend=SETS)

    assert list(report.set_aside) == [_OTHER]
    assert set(set_names(lone_node.host)) == {in_the_way, set_of(plan, plan.local_pod)}


@pytest.mark.parametrize("verify", [True, False])
def test_sets_that_others_destroyed_are_made_again(
    node: KernelNode, machines: NodeLab, plan: AddressPlan, *, verify: bool
) -> None:
    """Who empties the table and takes the sets, and even their numbers, is repaired after."""
    node.program(plan, with_two_endpoints(plan), affinity_backend=SETS)
    node.wipe()
    restore_sets(node.host, [f"create theirs-{number} hash:ip timeout 60" for number in range(4)])

    third = sticky(plan, plan.local_pod, plan.remote_pod, plan.other_local_pod)
    node.program(plan, third, verify=verify, affinity_backend=SETS)
    pod = answer(machines.client, tcp(plan.cluster_ip)).by

    assert answer(machines.client, tcp(plan.cluster_ip)).by == pod
    assert not any(members(node.host, f"theirs-{number}") for number in range(4))


def test_a_set_that_went_before_its_rules_came_is_made_again(
    lone_node: KernelNode, plan: AddressPlan
) -> None:
    """A set that no rule names yet may be gone at the commit; the next try asks for all."""
    lone_node.program(plan, affinity_backend=SETS)
    host = lone_node.host
    with ThreadPoolExecutor(1) as pool:
        with host.lock_file.open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            syncing = pool.submit(
                lone_node.program, plan, with_two_endpoints(plan), affinity_backend=SETS
            )
            wait_until("the sets are made", lambda: len(set_names(host)) == 2)
            host.run(["ipset", "destroy"])
        report = syncing.result()

    assert not report.set_aside
    assert len(set_names(host)) == 2


def test_sets_are_prepared_beside_the_caller(lone_node: KernelNode, plan: AddressPlan) -> None:
    """Those that are ordered ahead are there when they are needed, with their numbers."""
    wanted = [ClientSet(f"KUBE-AFF-{number}", 60) for number in range(1100)]
    with lone_node.host.entered():
        sets = client_sets.ClientSets(plan.family)
        sets.prepare(wanted[:-1])
        sets.doubt()
        prepared = set_names(lone_node.host)
        sets.provide(wanted)

    assert len(prepared) == len(wanted) - 1
    assert set(set_names(lone_node.host)) == {one.name for one in wanted}
    with lone_node.host.entered():
        assert sets.indices == client_sets.known_indices(plan.family)


def test_what_cannot_be_prepared_is_told_when_it_is_needed(
    lone_node: KernelNode, plan: AddressPlan
) -> None:
    """The first set's name is taken; the order goes on with the others, and nobody is stopped."""
    restore_sets(lone_node.host, ["create KUBE-AFF-0 list:set size 8"])
    wanted = [ClientSet(f"KUBE-AFF-{number}", 60) for number in range(3)]
    with lone_node.host.entered():
        sets = client_sets.ClientSets(plan.family)
        sets.prepare(wanted)
        sets.provide(wanted)
        with without_privileges():
            sets.prepare(wanted)
            sets.doubt()

    assert sorted(sets.indices) == ["KUBE-AFF-1", "KUBE-AFF-2"]
    with pytest.raises(client_sets.MissingSetError, match="File exists"):
        sets.indices["KUBE-AFF-0"]


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
    lone_node.program(plan, with_two_endpoints(plan), affinity_backend=SETS)

    rules = lone_node.contents(plan)
    lines = [line for key, some in rules.items() if key[0] == TableName.NAT.value for line in some]
    assert {name: sum(name in line for line in lines) for name in set_names(lone_node.host)} == {
        set_of(plan, pod): 2 for pod in (plan.local_pod, plan.remote_pod)
    }


@pytest.mark.parametrize("is_programmed", [True, False])
def test_a_comparison_knows_sets(
    lone_node: KernelNode, plan: AddressPlan, *, is_programmed: bool
) -> None:
    """Rules that name sets are the same in the kernel, or missing there with their sets."""
    if is_programmed:
        lone_node.program(plan, with_two_endpoints(plan), affinity_backend=SETS)
    settings = Settings(
        source=SourceSettings(node_name=THIS_NODE),
        options=ProxyOptions(cluster_cidrs=(plan.cluster_cidr,), affinity_backend=SETS),
    )
    made = with_two_endpoints(plan)
    picture = Picture({made.service.key: made}, this_node(plan))

    with lone_node.host.entered():
        found = differences(settings, picture, (plan.family,))

    missing = [line for one in found for line in one.desired or ()]
    line = f"-j SET --add-set {set_of(plan, plan.local_pod)} src --exist --timeout 600"
    assert any(text.endswith(line) for text in missing) is not is_programmed
    assert bool(found) is not is_programmed
