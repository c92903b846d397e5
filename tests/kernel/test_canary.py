# SPDX-License-Identifier: Apache-2.0
"""What kube-proxy left in the mangle table, where this agent has no rules."""

from __future__ import annotations

from dataplane.kernel.canary import remove_canary
from lab import Lab
from rules.names import KUBE_PROXY_CANARY as CANARY
from tests.address_plan import AddressPlan
from tests.kernel.node import KernelNode

_KUBELETS = ("KUBE-IPTABLES-HINT", "KUBE-KUBELET-CANARY")
_FOREIGN_RULE = ("PREROUTING", "-p", "tcp", "-j", "MARK", "--set-mark", "7")


def _remove(node: KernelNode, plan: AddressPlan) -> bool:
    with node.host.entered():
        return remove_canary(plan.family, lock_timeout_seconds=5.0)


def test_the_canary_goes_and_all_else_stays(lone_node: KernelNode, plan: AddressPlan) -> None:
    """Kubelet's chains, foreign rules and their counters are as before."""
    for chain in _KUBELETS:
        lone_node.iptables(plan, "-t", "mangle", "-N", chain)
    lone_node.iptables(plan, "-t", "mangle", "-A", *_FOREIGN_RULE, "-c", "3", "180")
    before = lone_node.save(plan, counters=True)
    lone_node.iptables(plan, "-t", "mangle", "-N", CANARY)

    assert _remove(lone_node, plan)
    assert lone_node.save(plan, counters=True) == before
    assert not _remove(lone_node, plan)


def test_a_canary_in_use_stays(lone_node: KernelNode, plan: AddressPlan) -> None:
    """With a rule in it, or one that leads to it, it is no longer kube-proxy's alone."""
    for chain, target in ((CANARY, "ACCEPT"), ("PREROUTING", CANARY)):
        lone_node.wipe()
        lone_node.iptables(plan, "-t", "mangle", "-N", CANARY)
        lone_node.iptables(plan, "-t", "mangle", "-A", chain, "-j", target)
        before = lone_node.contents(plan)

        assert not _remove(lone_node, plan)
        assert lone_node.contents(plan) == before


def test_a_table_that_nobody_uses_is_not_begun(plan: AddressPlan) -> None:
    """A table takes part in the way of each packet from the moment that somebody looks at it."""
    with Lab() as lab:
        (machine,) = lab.add_hosts("node")
        node = KernelNode(machine)

        assert not _remove(node, plan)
        assert not [line for line in node.save(plan) if line == "*mangle"]
