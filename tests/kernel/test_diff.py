# SPDX-License-Identifier: Apache-2.0
"""The desired rules against a kernel that has them, or almost."""

from __future__ import annotations

import pytest

from dataplane.diff import differences
from dataplane.settings import Settings, SourceSettings
from dataplane.state import Picture
from lab import Host
from rules.comparison import ChainDifference, unified_text
from rules.context import ProxyOptions
from rules.model import ServiceState
from tests.address_plan import IPV4, THIS_NODE, AddressPlan
from tests.builders import local, node, state
from tests.kernel.node import KernelNode
from tests.printed import SVC, comment, sep

_CHAIN = "KUBE-SVC-AAAAAAAAAAAAAAAA"


@pytest.fixture
def web(plan: AddressPlan) -> ServiceState:
    """A Service with two endpoints."""
    return state(plan, local(plan.local_pod), local(plan.other_local_pod))


def _differences(
    lone_node: KernelNode, plan: AddressPlan, *states: ServiceState
) -> tuple[ChainDifference, ...]:
    settings = Settings(
        source=SourceSettings(node_name=THIS_NODE),
        options=ProxyOptions(cluster_cidrs=(plan.cluster_cidr,)),
    )
    picture = Picture({one.service.key: one for one in states}, node(plan))
    with lone_node.host.entered():
        return differences(settings, picture, (plan.family,))


def _lines(found: tuple[ChainDifference, ...]) -> list[str]:
    """The lines to add and to remove."""
    return [
        line
        for line in unified_text(found).splitlines()
        if line.startswith(("+", "-")) and not line.startswith(("+++", "---"))
    ]


def test_what_was_programmed_does_not_differ(
    lone_node: KernelNode, plan: AddressPlan, web: ServiceState
) -> None:
    """After a sync nothing is left to do, whatever others have in the same chains."""
    lone_node.iptables(plan, "-A", "FORWARD", "-o", "br0", "-j", "ACCEPT")
    lone_node.program(plan, web)
    lone_node.iptables(plan, "-I", "FORWARD", "-p", "47", "-j", "DROP")

    assert _differences(lone_node, plan, web) == ()


def test_a_kernel_without_rules_lacks_them_all(
    lone_node: KernelNode, plan: AddressPlan, web: ServiceState
) -> None:
    """What is missing is what iptables-save prints once it is there."""
    missing = _lines(_differences(lone_node, plan, web))
    assert all(line.startswith("+") for line in missing)

    lone_node.program(plan, web)

    saved = [line for line in lone_node.save(plan) if "KUBE-" in line]
    declared = [line.split()[0] if line.startswith(":") else line for line in saved]
    assert sorted(line[1:] for line in missing) == sorted(declared)


def test_each_kind_of_change_is_told(
    lone_node: KernelNode, plan: AddressPlan, web: ServiceState
) -> None:
    """A rule that is gone, one that is foreign, a stale chain, a hook that is gone."""
    lone_node.program(plan, web)
    chain = sep(plan, plan.local_pod)
    foreign = f"{SVC} -s {plan.client_network} -p udp -m multiport --dports 53,80 -j RETURN"
    lone_node.iptables(plan, "-t", "nat", "-D", chain, "1")
    lone_node.iptables(plan, "-t", "nat", "-A", *foreign.split())
    lone_node.iptables(plan, "-t", "nat", "-N", _CHAIN)
    lone_node.iptables(plan, "-t", "nat", "-D", "POSTROUTING", "1")

    hairpin = f"-s {plan.host(plan.local_pod)} {comment('default/web')} -j KUBE-MARK-MASQ"
    assert sorted(_lines(_differences(lone_node, plan, web))) == sorted(
        [
            f"+-A {chain} {hairpin}",
            f"--A {SVC} -s {plan.client_network} -p udp -j RETURN # and match multiport",
            f"-:{_CHAIN}",
            f"+-A POSTROUTING {comment('kubernetes postrouting rules')} -j KUBE-POSTROUTING",
        ]
    )


def test_another_order_is_a_difference(
    lone_node: KernelNode, plan: AddressPlan, web: ServiceState
) -> None:
    """The same rules in another order do something else to packets."""
    lone_node.program(plan, web)
    rule = "KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN"
    lone_node.iptables(plan, "-t", "nat", "-D", *rule.split())
    lone_node.iptables(plan, "-t", "nat", "-A", *rule.split())

    assert sorted(_lines(_differences(lone_node, plan, web))) == [f"+-A {rule}", f"--A {rule}"]


def test_a_rule_in_another_form_is_not_taken_for_ours(
    lone_node: KernelNode, plan: AddressPlan, web: ServiceState
) -> None:
    """What only looks right is told apart, and what it is is said as far as it is known."""
    lone_node.program(plan, web)
    lone_node.iptables(plan, "-t", "nat", "-R", "KUBE-MARK-MASQ", "1", "-j", "LOG")

    assert sorted(_lines(_differences(lone_node, plan, web))) == [
        "+-A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000",
        "--A KUBE-MARK-MASQ -j LOG # in another form",
    ]


@pytest.mark.parametrize("is_large", [False, True])
def test_between_small_and_large_both_kinds_of_rules_are_right(
    lone_machine: Host, lone_node: KernelNode, *, is_large: bool
) -> None:
    """With 900 endpoints it depends on the past whether the agent builds those of many."""
    pods = [local(f"10.244.{number // 250}.{number % 250}") for number in range(900)]
    crowd = state(IPV4, *pods)
    KernelNode(lone_machine, is_large=is_large).program(IPV4, crowd)

    assert _differences(lone_node, IPV4, crowd) == ()


def test_nothing_is_written(lone_node: KernelNode, plan: AddressPlan, web: ServiceState) -> None:
    """However much differs, the kernel keeps what it has, to the packet."""
    lone_node.program(plan, web)
    lone_node.iptables(plan, "-t", "nat", "-F", SVC)
    before = lone_node.save(plan, counters=True)

    assert _differences(lone_node, plan, web)
    assert lone_node.save(plan, counters=True) == before
