# SPDX-License-Identifier: Apache-2.0
"""Connections that were made, refused and dropped, and what the counters of the rules say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address
from typing import Final

import pytest

from lab import NodeLab, Refused, TimedOut
from lab.plan import CLIENT, OTHER_CLIENT
from rules import names
from rules.ir import TableName
from rules.model import ObjectKey, ServiceState, ServiceType, TrafficPolicy
from tests.address_plan import AddressPlan
from tests.builders import NODE_PORT, ServiceFields, local, remote, service_port, state
from tests.counting import many_addresses
from tests.kernel.counting import counted
from tests.kernel.node import KernelNode, in_both_layouts
from tests.kernel.traffic import (
    LOCAL,
    LOCAL_PODS,
    REMOTE_PODS,
    answers_by_pod,
    at_once,
    if_dropped,
    of,
    tcp,
    udp,
)

pytestmark = [in_both_layouts, pytest.mark.usefixtures("owner_of_virtual_addresses")]

_SOME: Final = 12
_FEW: Final = 3
_MANY: Final = 20
_VERY_MANY: Final = 200


def _load_balancer(
    plan: AddressPlan, policy: TrafficPolicy = TrafficPolicy.CLUSTER
) -> ServiceFields:
    return ServiceFields(
        type=ServiceType.LOAD_BALANCER,
        ports=(service_port(protocol="udp", node_port=NODE_PORT),),
        external_ips=(plan.external_ip,),
        ingress_ips=(plan.ingress_ip,),
        external_traffic_policy=policy,
    )


def _by_endpoint(plan: AddressPlan, answers: Mapping[str, int]) -> dict[str, int]:
    """Answers by what the pods are called in rules."""
    pods = {pod.name: of(plan, pod.address) for pod in (*LOCAL_PODS, *REMOTE_PODS)}
    return {plan.endpoint(pods[name]): count for name, count in answers.items()}


def _three(plan: AddressPlan) -> ServiceState:
    return state(plan, local(plan.local_pod), local(plan.other_local_pod), remote(plan.remote_pod))


def _four(plan: AddressPlan) -> ServiceState:
    """One more, which comes last, so that the odds in all other rules change."""
    return state(
        plan,
        *(local(plan.local_pod), local(plan.other_local_pod)),
        *(remote(plan.remote_pod), remote(plan.other_remote_pod)),
    )


def _others(plan: AddressPlan) -> list[ServiceState]:
    """So many that rules for VIPs stand in a tree, in the layout that has one."""
    found = []
    for number in range(_MANY):
        key = ObjectKey("default", f"other-{number:02}")
        vip = str(ip_address(plan.other_cluster_ip) + 1 + number)
        found.append(state(plan, local(plan.local_pod), key=key, cluster_ips=(vip,)))
    return found


def test_each_connection_is_counted_once(
    node: KernelNode, machines: NodeLab, plan: AddressPlan
) -> None:
    """As many as were made, for the service port and for the endpoint that answered each."""
    node.program(plan, _three(plan))

    answers = answers_by_pod(_SOME, machines.client, tcp(plan.cluster_ip))

    counts = counted(node, plan, _three(plan))
    assert counts.connections == _SOME
    assert +Counter(counts.by_endpoint) == _by_endpoint(plan, answers)
    assert (counts.outside_source_ranges, counts.no_local_endpoints, counts.rejected) == (0, 0, 0)


@pytest.mark.parametrize("policy", TrafficPolicy)
def test_every_way_in_is_counted(
    node: KernelNode, machines: NodeLab, plan: AddressPlan, policy: TrafficPolicy
) -> None:
    """Cluster IP, external IP, ingress IP and node port, of clients and pods, come together."""
    fields = _load_balancer(plan, policy)
    fields["ports"] = (service_port(node_port=NODE_PORT),)
    served = state(plan, local(plan.local_pod), remote(plan.remote_pod), **fields)
    node.program(plan, served)
    answers: Counter[str] = Counter()
    addresses = (plan.cluster_ip, plan.external_ip, plan.ingress_ip)
    targets = [*map(tcp, addresses), tcp(plan.node_ip, NODE_PORT)]
    for host in (machines.client, machines.pods[LOCAL.name]):
        for target in targets:
            answers += answers_by_pod(_FEW, host, target)

    counts = counted(node, plan, served)

    assert counts.connections == answers.total() == 2 * len(targets) * _FEW
    assert +Counter(counts.by_endpoint) == _by_endpoint(plan, answers)


def test_a_new_endpoint_loses_no_count(
    node: KernelNode, machines: NodeLab, plan: AddressPlan
) -> None:
    """What the others had stays theirs, though their odds are others now."""
    node.program(plan, _three(plan))
    answers = answers_by_pod(_SOME, machines.client, tcp(plan.cluster_ip))

    node.program(plan, _four(plan))
    answers += answers_by_pod(_SOME, machines.client, tcp(plan.cluster_ip))

    counts = counted(node, plan, _four(plan))
    assert counts.connections == 2 * _SOME
    assert +Counter(counts.by_endpoint) == _by_endpoint(plan, answers)


def test_connections_during_commits_are_counted(
    node: KernelNode, machines: NodeLab, plan: AddressPlan
) -> None:
    """A rule that stays counts on while others are taken away and put beside it."""
    node.program(plan, _three(plan))
    with ThreadPoolExecutor(1) as pool:
        made = pool.submit(answers_by_pod, 25 * _SOME, machines.client, tcp(plan.cluster_ip))
        commits = 0
        while not made.done():
            for states in (_four(plan), _three(plan)):
                commits += bool(node.program(plan, states).tables[TableName.NAT].changes)
        made.result()

    assert commits > _SOME
    assert counted(node, plan, _three(plan)).connections == 25 * _SOME


@pytest.mark.parametrize("is_restarted", [False, True], ids=["running", "restarted"])
def test_the_other_layout_loses_no_count(
    node: KernelNode, machines: NodeLab, plan: AddressPlan, *, is_restarted: bool
) -> None:
    """All rules are swapped for others, by the same agent or the next one, and back again."""
    states = [_four(plan), *_others(plan)]
    node.program(plan, *states)
    answers = answers_by_pod(2 * _SOME, machines.client, tcp(plan.cluster_ip))

    for _ in range(2):
        if is_restarted:
            node.restart_agent()
        before = node.contents(plan)
        node.change_layout()
        node.program(plan, *states)

        assert node.contents(plan) != before
        counts = counted(node, plan, *states)
        assert counts.connections == 2 * _SOME
        assert +Counter(counts.by_endpoint) == _by_endpoint(plan, answers)


def test_a_rule_that_moves_in_a_tree_loses_no_count(
    node: KernelNode, machines: NodeLab, plan: AddressPlan
) -> None:
    """More Services, and fewer again, may change the chain in which the rule for a VIP stands."""
    node.program(plan, _three(plan))
    answers_by_pod(_FEW, machines.client, tcp(plan.cluster_ip))

    for states in ([_three(plan), *_others(plan)], [_three(plan)]):
        node.program(plan, *states)

        assert counted(node, plan, *states).connections == _FEW


def test_endpoints_that_come_into_groups_lose_no_count(node: KernelNode, plan: AddressPlan) -> None:
    """Very many endpoints stand in chains for groups of them, and in one chain again if fewer."""
    addresses = many_addresses(plan.remote_pod, _VERY_MANY)
    few, many = (state(plan, *map(remote, some)) for some in (addresses[:_SOME], addresses))
    node.program(plan, few)
    numbers = iter(range(1, _SOME + 1))
    counted_now = [
        f"[{next(numbers)}:60]{line.partition(']')[2]}" if "--to-destination" in line else line
        for line in node.save(plan, counters=True)
    ]
    node.restore(plan, "\n".join([*counted_now, ""]))
    before = counted(node, plan, few).by_endpoint
    assert sorted(before.values()) == list(range(1, _SOME + 1))

    node.program(plan, many)
    groups = [name for _, name in node.contents(plan) if names.is_group_chain(name)]
    assert bool(groups) is node.is_large
    assert {text: counted(node, plan, many).by_endpoint[text] for text in before} == before

    node.program(plan, few)
    assert counted(node, plan, few).by_endpoint == before


def test_an_agent_that_starts_again_loses_no_count(
    node: KernelNode, machines: NodeLab, plan: AddressPlan
) -> None:
    """The kernel keeps the counters, and the new agent the rules."""
    node.program(plan, _three(plan))
    answers = answers_by_pod(_SOME, machines.client, tcp(plan.cluster_ip))

    node.restart_agent()
    node.program(plan, _three(plan))
    node.program(plan, _three(plan), verify=True)

    counts = counted(node, plan, _three(plan))
    assert counts.connections == _SOME
    assert +Counter(counts.by_endpoint) == _by_endpoint(plan, answers)


def test_refused_packets_are_counted(
    node: KernelNode, machines: NodeLab, plan: AddressPlan
) -> None:
    """Those to a service port without endpoints, whichever way they come."""
    unserved = state(plan, **_load_balancer(plan))
    node.program(plan, unserved)
    targets = [udp(plan.cluster_ip), udp(plan.external_ip), udp(plan.node_ip, NODE_PORT)]

    for target in targets:
        assert at_once(machines.client, target) == Refused()

    counts = counted(node, plan, unserved)
    assert counts.rejected == len(targets)
    assert counts.connections == counts.no_local_endpoints == counts.outside_source_ranges == 0


def test_packets_that_policy_local_drops_are_counted(
    node: KernelNode, machines: NodeLab, plan: AddressPlan
) -> None:
    """Those that only other nodes could serve, at a load-balancer address as well."""
    unserved = state(plan, remote(plan.remote_pod), **_load_balancer(plan, TrafficPolicy.LOCAL))
    node.program(plan, unserved)
    targets = [udp(plan.external_ip), udp(plan.ingress_ip), udp(plan.node_ip, NODE_PORT)]

    for target in targets:
        assert if_dropped(machines.client, target) == TimedOut()

    counts = counted(node, plan, unserved)
    assert counts.no_local_endpoints == len(targets)
    assert counts.connections == counts.rejected == counts.outside_source_ranges == 0


@pytest.mark.parametrize("policy", TrafficPolicy)
def test_packets_outside_of_the_source_ranges_are_counted(
    node: KernelNode, machines: NodeLab, plan: AddressPlan, policy: TrafficPolicy
) -> None:
    """Those of a sender who is not admitted; they are no connections."""
    fields = _load_balancer(plan, policy)
    fields["source_ranges"] = (plan.node_network, plan.host(of(plan, CLIENT)))
    guarded = state(plan, local(plan.local_pod), **fields)
    node.program(plan, guarded)
    target = udp(plan.ingress_ip)

    answers_by_pod(_FEW, machines.client, target)
    stranger = of(plan, OTHER_CLIENT)
    assert if_dropped(machines.client, target, source=stranger) == TimedOut()

    counts = counted(node, plan, guarded)
    assert (counts.connections, counts.outside_source_ranges) == (_FEW, 1)
    assert counts.no_local_endpoints == counts.rejected == 0
