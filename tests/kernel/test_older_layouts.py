# SPDX-License-Identifier: Apache-2.0
"""Rules that an older kube-proxy has really written, taken over: see layouts/README.md."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from lab import Answered, NodeLab, Target
from lab.plan import CLIENT, NODE, OTHER_CLIENT
from rules import names
from rules.ir import Family, TableName
from rules.model import ServiceState
from tests.address_plan import AddressPlan
from tests.cluster.questions import questions
from tests.golden.loading import picture_of
from tests.kernel.node import KernelNode
from tests.kernel.traffic import LOCAL, answer, answers_by_pod, if_dropped, of, tcp, udp

_LAYOUT: Final = Path(__file__).parent / "layouts" / "kube-proxy-1.22"
_TABLES: Final = {table.value for table in TableName}
_KUBELETS: Final = {names.KUBELET_FIREWALL, "KUBE-KUBELET-CANARY"}
_CLUSTER_IPS: Final = {Family.IPV4: "10.96.0.", Family.IPV6: "fd00:10:96::"}
_WEB, _HERE, _STICKY, _DNS = 11, 12, 13, 14
_WEB_NODE_PORT: Final = 30956
_HERE_NODE_PORT: Final = 30957
_DNS_NODE_PORT: Final = 30958


@pytest.fixture
def older(node: KernelNode, plan: AddressPlan) -> KernelNode:
    """A node with the recorded rules."""
    node.restore(plan, _recorded(plan))
    return node


def _recorded(plan: AddressPlan) -> str:
    return (_LAYOUT / f"{plan.family.value}.save").read_text(encoding="utf-8")


def _services() -> tuple[ServiceState, ...]:
    return tuple(picture_of(_LAYOUT / "input.yaml").services.values())


def _vip(plan: AddressPlan, number: int) -> str:
    return f"{_CLUSTER_IPS[plan.family]}{number}"


def _targets(plan: AddressPlan) -> tuple[Target, ...]:
    """The Services in all ways in which they are reached."""
    node = of(plan, NODE)
    return (
        *(tcp(_vip(plan, number)) for number in (_WEB, _HERE, _STICKY)),
        *(tcp(address) for address in (plan.ingress_ip, plan.other_ingress_ip, plan.external_ip)),
        *(tcp(node, port) for port in (_WEB_NODE_PORT, _HERE_NODE_PORT)),
        udp(_vip(plan, _DNS), 53),
        udp(node, _DNS_NODE_PORT),
    )


def _layout(node: KernelNode, plan: AddressPlan) -> dict[tuple[str, str], list[str]]:
    """All but what is kubelet's, or shared with it."""
    return {
        (table, chain): [rule for rule in rules if names.KUBELET_FIREWALL not in rule]
        for (table, chain), rules in node.contents(plan).items()
        if table in _TABLES and chain not in _KUBELETS
    }


def test_the_recorded_rules_have_the_older_layout(older: KernelNode, plan: AddressPlan) -> None:
    """They have the chains that today's kube-proxy does not have any more."""
    chains = {chain for _, chain in older.contents(plan)}

    assert {f"KUBE-{kind}-5ODTFW4QOXERN2VA" for kind in ("XLB", "FW")} <= chains
    assert older.chain(plan, TableName.NAT, names.MARK_DROP) == [
        "-j MARK --set-xmark 0x8000/0x8000"
    ]


def test_no_connection_fails(older: KernelNode, machines: NodeLab, plan: AddressPlan) -> None:
    """All Services answer before, all through and after the take-over, however they are reached."""
    with questions(machines.client, _targets(plan)) as asked:
        older.program(plan, *_services())

    failures = {one.target: one.failures for one in asked if one.failures}
    assert failures == {}
    assert all(isinstance(one.outcomes[0], Answered) for one in asked)


def test_only_our_layout_is_left(older: KernelNode, plan: AddressPlan) -> None:
    """In the end the tables are those of a fresh start, but for what belongs to kubelet."""
    older.program(plan, *_services())
    taken_over = _layout(older, plan)

    older.restart_agent()
    older.wipe()
    older.program(plan, *_services())
    assert taken_over == _layout(older, plan)


def test_kubelet_keeps_its_rules(older: KernelNode, plan: AddressPlan) -> None:
    """Its chain stays as it is, with both of its jumps, and so do its canaries."""
    before = older.contents(plan)

    older.program(plan, *_services())

    after = older.contents(plan)
    for key, rules in before.items():
        if key[1] in _KUBELETS:
            assert after[key] == rules
    for chain in ("INPUT", "OUTPUT"):
        jumps = older.chain(plan, TableName.FILTER, chain)
        assert jumps.count(f"-j {names.KUBELET_FIREWALL}") == 1


def test_traffic_is_treated_alike(older: KernelNode, machines: NodeLab, plan: AddressPlan) -> None:
    """Source ranges and policy Local mean the same before and after, and a client keeps its pod."""
    client, stranger = machines.client, of(plan, OTHER_CLIENT)
    (pod,) = answers_by_pod(3, client, tcp(plan.external_ip))

    for is_taken_over in (False, True):
        if is_taken_over:
            older.program(plan, *_services())
        for ingress_ip in (plan.ingress_ip, plan.other_ingress_ip):
            refused = if_dropped(client, tcp(ingress_ip), source=stranger)
            assert not isinstance(refused, Answered)
        through_local = answer(client, tcp(plan.other_ingress_ip))
        assert (through_local.by, through_local.source) == (LOCAL.name, of(plan, CLIENT))
        assert set(answers_by_pod(5, client, tcp(plan.external_ip))) == {pod}
