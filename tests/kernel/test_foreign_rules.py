# SPDX-License-Identifier: Apache-2.0
"""Rules and chains of others: no sync and no clean-up touches them, or their counters."""

from __future__ import annotations

from typing import Final

import pytest

from rules import names
from rules.ir import TableName
from rules.model import ServiceType
from tests.address_plan import IPV4, AddressPlan
from tests.builders import NODE_PORT, local, service_port, state
from tests.kernel.node import KernelNode

_LOCALNET_RULE: Final = (
    '! -s 127.0.0.0/8 -d 127.0.0.0/8 -m comment --comment "block incoming localnet connections" '
    "-m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j DROP"
)
_FOREIGN: Final = """\
*raw
:PREROUTING ACCEPT [11:1100]
:OUTPUT ACCEPT [12:1200]
[1:100] -A PREROUTING -i lo -j ACCEPT
COMMIT
*mangle
:PREROUTING ACCEPT [21:2100]
:INPUT ACCEPT [22:2200]
:FORWARD ACCEPT [23:2300]
:OUTPUT ACCEPT [24:2400]
:POSTROUTING ACCEPT [25:2500]
:KUBE-KUBELET-CANARY - [0:0]
[2:200] -A POSTROUTING -p tcp -m tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu
COMMIT
*nat
:PREROUTING ACCEPT [31:3100]
:INPUT ACCEPT [32:3200]
:OUTPUT ACCEPT [33:3300]
:POSTROUTING ACCEPT [34:3400]
:DOCKER - [0:0]
:KUBE-KUBELET-CANARY - [0:0]
:KUBE-SVCS-OF-OTHERS - [0:0]
[3:300] -A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
[4:400] -A POSTROUTING -o br0 -m comment --comment "their bridge" -j MASQUERADE
[5:500] -A DOCKER -i docker0 -j RETURN
[6:600] -A KUBE-SVCS-OF-OTHERS -p tcp -m tcp --dport 8080 -j REDIRECT --to-ports 80
COMMIT
*filter
:INPUT ACCEPT [41:4100]
:FORWARD DROP [42:4200]
:OUTPUT ACCEPT [43:4300]
:FIREWALL - [0:0]
:KUBE-FIREWALL - [0:0]
:KUBE-KUBELET-CANARY - [0:0]
:UNUSED - [0:0]
[7:700] -A INPUT -j KUBE-FIREWALL
[8:800] -A INPUT -p tcp -m multiport --dports 22,443 -j ACCEPT
[9:900] -A INPUT -g FIREWALL
[10:1000] -A FORWARD -m limit --limit 5/min -j ACCEPT
[11:1100] -A OUTPUT -j KUBE-FIREWALL
[12:1200] -A FIREWALL -i eth+ -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
{kubelet}
[14:1400] -A UNUSED -j DROP
COMMIT
"""


@pytest.fixture
def foreign(lone_node: KernelNode, plan: AddressPlan) -> list[str]:
    """What others put into all tables, kubelet among them."""
    kubelet = f"[13:1300] -A KUBE-FIREWALL {_LOCALNET_RULE}" if plan is IPV4 else ""
    lone_node.restore(plan, _FOREIGN.format(kubelet=kubelet))
    return lone_node.save(plan, counters=True)


def _program(node: KernelNode, plan: AddressPlan, *pods: str) -> None:
    node.program(
        plan,
        state(
            plan,
            *map(local, pods),
            type=ServiceType.LOAD_BALANCER,
            ports=(service_port(node_port=NODE_PORT),),
            ingress_ips=(plan.ingress_ip,),
        ),
    )


def test_syncs_leave_foreign_rules_alone(
    lone_node: KernelNode, plan: AddressPlan, foreign: list[str]
) -> None:
    """Through first load, edits and removal of a service, foreign lines stay to the byte."""
    for pods in ((plan.local_pod,), (plan.local_pod, plan.remote_pod), ()):
        _program(lone_node, plan, *pods)

        after = lone_node.save(plan, counters=True)
        assert [line for line in after if line in foreign] == foreign
        assert len(after) > len(foreign)
    lone_node.program(plan)
    after = lone_node.save(plan, counters=True)
    assert [line for line in after if line in foreign] == foreign


def test_clean_up_leaves_exactly_what_was_there_before(
    lone_node: KernelNode, plan: AddressPlan, foreign: list[str]
) -> None:
    """After clean-up all tables are to the byte what they were before the agent came."""
    _program(lone_node, plan, plan.local_pod)

    lone_node.clean_up(plan)

    assert lone_node.save(plan, counters=True) == foreign


def test_clean_up_keeps_the_chain_shared_with_kubelet(lone_node: KernelNode) -> None:
    """KUBE-FIREWALL stays with its rule and its jumps, even if it was the agent that made it."""
    _program(lone_node, IPV4, IPV4.local_pod)

    lone_node.clean_up(IPV4)

    ours = [line for line in lone_node.save(IPV4) if "KUBE-" in line]
    assert ours == [
        ":KUBE-FIREWALL - [0:0]",
        "-A INPUT -j KUBE-FIREWALL",
        "-A OUTPUT -j KUBE-FIREWALL",
        f"-A KUBE-FIREWALL {_LOCALNET_RULE}",
    ]


def test_clean_up_where_nothing_is_changes_nothing(
    lone_node: KernelNode, plan: AddressPlan, foreign: list[str]
) -> None:
    """On a node that was never programmed clean-up finds nothing to remove."""
    lone_node.clean_up(plan)

    assert lone_node.save(plan, counters=True) == foreign


def test_hooks_go_before_foreign_rules_and_stay_where_they_are_put(
    lone_node: KernelNode, plan: AddressPlan
) -> None:
    """Hooks are put first in their chains; a rule that is put before them later stays before."""
    lone_node.iptables(plan, "-t", "nat", "-A", "PREROUTING", "-i", "old", "-j", "ACCEPT")
    _program(lone_node, plan, plan.local_pod)
    lone_node.iptables(plan, "-t", "nat", "-I", "PREROUTING", "-i", "new", "-j", "ACCEPT")

    lone_node.restart_agent()
    _program(lone_node, plan, plan.local_pod)

    before, hook, after = lone_node.chain(plan, TableName.NAT, "PREROUTING")
    assert (before, after) == ("-i new -j ACCEPT", "-i old -j ACCEPT")
    assert hook.endswith(f"-j {names.SERVICES}")
