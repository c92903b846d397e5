# SPDX-License-Identifier: Apache-2.0
"""What is told of rules that iptables-nft made."""

from __future__ import annotations

import pytest

from dataplane.kernel.other_variant import nft_findings
from rules.ir import Family, TableName
from tests.address_plan import AddressPlan
from tests.builders import local, state
from tests.kernel.node import KernelNode

NFT = {Family.IPV4: "iptables-nft", Family.IPV6: "ip6tables-nft"}


def findings(node: KernelNode, plan: AddressPlan) -> list[str]:
    """What is found on the node."""
    with node.host.entered():
        return list(nft_findings(plan.family))


@pytest.fixture(autouse=True)
def _without_nft(lone_node: KernelNode, plan: AddressPlan) -> None:
    lone_node.host.run([NFT[plan.family] + "-restore"], stdin="*nat\nCOMMIT\n*mangle\nCOMMIT\n")


def test_our_own_rules_are_no_finding(lone_node: KernelNode, plan: AddressPlan) -> None:
    """Legacy rules are what we program: nothing is told of them."""
    lone_node.program(plan, state(plan, local(plan.local_pod)))

    assert lone_node.chain(plan, TableName.NAT, "KUBE-SERVICES")
    assert findings(lone_node, plan) == []


def test_rules_of_another_proxy_are_told(lone_node: KernelNode, plan: AddressPlan) -> None:
    """A KUBE-SERVICES chain in nftables is another proxy's, with a way to be rid of it."""
    lone_node.host.run([NFT[plan.family], "-t", "nat", "-N", "KUBE-SERVICES"])

    (finding,) = findings(lone_node, plan)

    assert f"another service proxy left {plan.family.value} rules in nftables" in finding
    assert "kube-proxy --cleanup" in finding


@pytest.mark.parametrize("mark", ["KUBE-IPTABLES-HINT", "KUBE-KUBELET-CANARY"])
def test_kubelets_variant_is_told(lone_node: KernelNode, plan: AddressPlan, mark: str) -> None:
    """Kubelet's mark in nftables means that the node's tools use the other variant."""
    lone_node.host.run([NFT[plan.family], "-t", "mangle", "-N", mark])

    (finding,) = findings(lone_node, plan)

    assert f"kubelet uses iptables-nft ({plan.family.value} chain {mark})" in finding
