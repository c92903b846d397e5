# SPDX-License-Identifier: Apache-2.0
"""What others did to our rules is noticed and put right."""

from __future__ import annotations

import shlex
from typing import Final

import pytest

from rules.ir import TableName
from rules.model import ServiceState, ServiceType
from tests.address_plan import AddressPlan
from tests.builders import NODE_PORT, local, service_port, state
from tests.kernel.node import KernelNode
from tests.printed import SVC

_PORTALS_HOOK: Final = '-m comment --comment "kubernetes service portals" -j KUBE-SERVICES'
_FIREWALL_HOOK: Final = (
    "-m conntrack --ctstate NEW "
    '-m comment --comment "kubernetes load balancer firewall" -j KUBE-PROXY-FIREWALL'
)

_Damage = tuple[TableName, tuple[str, ...]]

_SIZE_CHANGING: Final[dict[str, _Damage]] = {
    "nat flushed": (TableName.NAT, ("-F",)),
    "nat flushed and chains deleted": (TableName.NAT, ("-F", "-X")),
    "nat hook deleted": (TableName.NAT, ("-D PREROUTING 1",)),
    "nat service rule deleted": (TableName.NAT, ("-D KUBE-SERVICES 1",)),
    "nat service chain flushed": (TableName.NAT, (f"-F {SVC}",)),
    "nat rule put into our chain": (TableName.NAT, ("-I KUBE-SERVICES -j RETURN",)),
    "nat hook doubled": (TableName.NAT, (f"-A OUTPUT {_PORTALS_HOOK}",)),
    "filter flushed": (TableName.FILTER, ("-F",)),
    "filter flushed and chains deleted": (TableName.FILTER, ("-F", "-X")),
    "filter hook deleted": (TableName.FILTER, ("-D FORWARD 2",)),
    "filter rule deleted": (TableName.FILTER, ("-D KUBE-PROXY-FIREWALL 1",)),
    "filter rule put into our chain": (TableName.FILTER, ("-A KUBE-FORWARD -j ACCEPT",)),
}
_SAME_SIZE: Final[dict[str, _Damage]] = {
    "nat mark replaced": (
        TableName.NAT,
        ("-R KUBE-MARK-MASQ 1 -j MARK --set-xmark 0x1/0x1",),
    ),
    "filter verdict replaced": (
        TableName.FILTER,
        ("-R KUBE-FORWARD 1 -m conntrack --ctstate INVALID -j ACCEPT",),
    ),
    "filter hooks swapped": (
        TableName.FILTER,
        ("-D INPUT 1", f"-I INPUT 2 {_FIREWALL_HOOK}"),
    ),
}


@pytest.fixture
def services(lone_node: KernelNode, plan: AddressPlan) -> tuple[ServiceState, ...]:
    """Two services, one of them without endpoints, that stand in the kernel."""
    balanced = state(
        plan,
        local(plan.local_pod),
        local(plan.remote_pod),
        type=ServiceType.LOAD_BALANCER,
        ports=(service_port(node_port=NODE_PORT),),
        ingress_ips=(plan.ingress_ip,),
    )
    unserved = state(plan, key=balanced.service.key._replace(name="unserved"))
    lone_node.program(plan, balanced, unserved)
    return balanced, unserved


def _inflict(node: KernelNode, plan: AddressPlan, damage: _Damage) -> None:
    table, commands = damage
    for command in commands:
        node.iptables(plan, "-t", table.value, *shlex.split(command))


@pytest.mark.parametrize("verified_before", [False, True])
@pytest.mark.parametrize("damage", [*_SIZE_CHANGING, *_SAME_SIZE])
def test_verification_repairs_any_damage(
    lone_node: KernelNode,
    plan: AddressPlan,
    services: tuple[ServiceState, ...],
    damage: str,
    *,
    verified_before: bool,
) -> None:
    """A verifying sync, the first or a later one, puts all tables right and reports repairs."""
    before = lone_node.contents(plan)
    if verified_before:
        lone_node.program(plan, *services, verify=True)
    inflicted = (_SIZE_CHANGING | _SAME_SIZE)[damage]
    _inflict(lone_node, plan, inflicted)
    assert lone_node.contents(plan) != before

    report = lone_node.program(plan, *services, verify=True)

    assert lone_node.contents(plan) == before
    damaged, _ = inflicted
    assert {table for table, done in report.tables.items() if done.repairs} == {damaged}
    assert not any(done.changes for done in report.tables.values())


@pytest.mark.parametrize("damage", _SIZE_CHANGING)
def test_any_sync_repairs_what_changed_the_size_of_a_table(
    lone_node: KernelNode, plan: AddressPlan, services: tuple[ServiceState, ...], damage: str
) -> None:
    """A sync that has nothing new and verifies nothing notices what changed a table's size."""
    before = lone_node.contents(plan)
    _inflict(lone_node, plan, _SIZE_CHANGING[damage])

    lone_node.program(plan, *services)

    assert lone_node.contents(plan) == before


@pytest.mark.parametrize("damage", ["nat flushed and chains deleted", "filter flushed"])
def test_damage_and_news_meet_in_one_sync(
    lone_node: KernelNode, plan: AddressPlan, services: tuple[ServiceState, ...], damage: str
) -> None:
    """A change of a service is applied together with the repair of everything else."""
    _inflict(lone_node, plan, _SIZE_CHANGING[damage])
    changed = state(plan, local(plan.other_local_pod))

    lone_node.program(plan, changed, services[1])

    after = lone_node.contents(plan)
    lone_node.wipe()
    lone_node.restart_agent()
    lone_node.program(plan, changed, services[1])
    assert after == lone_node.contents(plan)


def test_a_removed_hook_goes_back_between_its_neighbours(
    lone_node: KernelNode, plan: AddressPlan, services: tuple[ServiceState, ...]
) -> None:
    """A hook that was deleted stands where it stood, not before a foreign rule on top."""
    lone_node.iptables(plan, "-I", "FORWARD", "-i", "theirs", "-j", "ACCEPT")
    lone_node.program(plan, *services)
    before = lone_node.chain(plan, TableName.FILTER, "FORWARD")
    lone_node.iptables(plan, "-D", "FORWARD", "3")

    lone_node.program(plan, *services)

    assert lone_node.chain(plan, TableName.FILTER, "FORWARD") == before
    assert before[0] == "-i theirs -j ACCEPT"
