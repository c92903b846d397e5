# SPDX-License-Identifier: Apache-2.0
"""A new agent on a node where an earlier one, or kube-proxy, left rules."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread

import pytest

from dataplane.kernel.libiptc import AnyTable, TableHandle
from lab import Answered, Host, NodeLab, Outcome, Target, probe, wait_until
from rules import names
from rules.ir import TableName
from rules.model import ObjectKey, ServiceState, ServiceType
from tests.address_plan import AddressPlan
from tests.builders import NODE_PORT, local, service_port, state
from tests.kernel.node import KernelNode
from tests.kernel.traffic import tcp
from tests.printed import SVC, sep

_GONE = ObjectKey("default", "gone")
_ENOUGH = 30


def _web(plan: AddressPlan, *pods: str) -> ServiceState:
    return state(
        plan,
        *map(local, pods),
        type=ServiceType.LOAD_BALANCER,
        ports=(service_port(node_port=NODE_PORT),),
        ingress_ips=(plan.ingress_ip,),
    )


def _gone(plan: AddressPlan) -> ServiceState:
    address = plan.other_cluster_ip
    return state(plan, local(plan.other_local_pod), key=_GONE, cluster_ips=(address,))


@contextmanager
def _questions(host: Host, target: Target) -> Iterator[list[Outcome]]:
    """Ask again and again, before the block, all through it and after it."""
    outcomes: list[Outcome] = []
    stopped = Event()

    def ask() -> None:
        while not stopped.is_set():
            outcomes.append(probe(host, target))

    thread = Thread(target=ask)
    thread.start()
    try:
        wait_until("the first questions are answered", lambda: len(outcomes) >= _ENOUGH)
        yield outcomes
        asked = len(outcomes)
        wait_until("more questions are answered", lambda: len(outcomes) >= asked + _ENOUGH)
    finally:
        stopped.set()
        thread.join()


def test_services_answer_all_through_a_takeover(
    node: KernelNode, machines: NodeLab, plan: AddressPlan
) -> None:
    """No connection fails while a new agent changes endpoints and removes a stale service."""
    node.program(plan, _web(plan, plan.local_pod, plan.remote_pod), _gone(plan))

    with _questions(machines.client, tcp(plan.cluster_ip)) as outcomes:
        for pods in ((plan.local_pod,), (plan.other_local_pod, plan.remote_pod)):
            node.restart_agent()
            node.program(plan, _web(plan, *pods))

    assert [one for one in outcomes if not isinstance(one, Answered)] == []


def test_stale_chains_go_with_the_rules_that_used_them(
    lone_node: KernelNode, plan: AddressPlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A new agent removes what no service needs any more, in one commit of nat."""
    lone_node.program(plan, _web(plan, plan.local_pod))
    expected = lone_node.contents(plan)
    lone_node.wipe()
    lone_node.restart_agent()
    lone_node.program(plan, _web(plan, plan.local_pod, plan.remote_pod), _gone(plan))
    lone_node.restart_agent()
    commits = _count_commits(monkeypatch)

    lone_node.program(plan, _web(plan, plan.local_pod))

    assert lone_node.contents(plan) == expected
    assert commits == [TableName.NAT]


def test_chains_of_another_release_are_taken_over(lone_node: KernelNode, plan: AddressPlan) -> None:
    """Other rules in our chains, and service chains of any content, are replaced or removed."""
    lone_node.program(plan, _web(plan, plan.local_pod))
    expected = lone_node.contents(plan)
    for command in (
        ("-A", names.SERVICES, "-d", plan.other_cluster_ip, "-j", SVC),
        ("-N", "KUBE-SVC-OTHERRELEASE0000"),
        ("-A", "KUBE-SVC-OTHERRELEASE0000", "-j", SVC),
        ("-A", names.SERVICES, "-j", "KUBE-SVC-OTHERRELEASE0000"),
    ):
        lone_node.iptables(plan, "-t", "nat", *command)
    lone_node.restart_agent()

    lone_node.program(plan, _web(plan, plan.local_pod))

    assert lone_node.contents(plan) == expected


@pytest.mark.parametrize("left", ["KUBE-XLB-LOLE4ISW44XBNF3G", "KUBE-PROXY-CANARY"])
def test_chains_that_only_kube_proxy_has_are_removed(
    lone_node: KernelNode, plan: AddressPlan, left: str
) -> None:
    """What kube-proxy left and our layout does not have goes; kubelet's own chains stay."""
    lone_node.program(plan, _web(plan, plan.local_pod))
    lone_node.iptables(plan, "-t", "nat", "-N", "KUBE-KUBELET-CANARY")
    expected = lone_node.contents(plan)
    lone_node.iptables(plan, "-t", "nat", "-N", left)
    lone_node.iptables(plan, "-t", "nat", "-A", names.NODE_PORTS, "-j", left)
    lone_node.restart_agent()

    lone_node.program(plan, _web(plan, plan.local_pod))

    assert lone_node.contents(plan) == expected


def test_a_stale_chain_in_foreign_use_is_reported_and_kept(
    lone_node: KernelNode, plan: AddressPlan, caplog: pytest.LogCaptureFixture
) -> None:
    """A foreign jump to a stale chain keeps it, empty, with a warning; all else is applied."""
    lone_node.program(plan, _web(plan, plan.local_pod, plan.remote_pod))
    stale = sep(plan, plan.remote_pod)
    lone_node.iptables(plan, "-t", "nat", "-A", "OUTPUT", "-j", stale)
    lone_node.restart_agent()

    with caplog.at_level(logging.WARNING):
        lone_node.program(plan, _web(plan, plan.local_pod))

    assert f"chain {stale} of the {plan.family.value} table nat cannot be deleted" in caplog.text
    assert lone_node.chain(plan, TableName.NAT, stale) == []
    # The masquerade rule and the one endpoint.
    assert len(lone_node.chain(plan, TableName.NAT, SVC)) == 2
    lone_node.iptables(plan, "-t", "nat", "-D", "OUTPUT", "-j", stale)
    lone_node.program(plan, _web(plan, plan.local_pod))
    assert ("nat", stale) not in lone_node.contents(plan)


def _count_commits(monkeypatch: pytest.MonkeyPatch) -> list[AnyTable]:
    commits: list[AnyTable] = []
    commit = TableHandle.commit

    def counted(handle: TableHandle) -> None:
        commits.append(handle._table)
        commit(handle)

    monkeypatch.setattr(TableHandle, "commit", counted)
    return commits
