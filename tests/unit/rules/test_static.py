# SPDX-License-Identifier: Apache-2.0
"""The rules that stand without any Service: hooks and fixed chains."""

from __future__ import annotations

import pytest

from tests.address_plan import IPV4, IPV6, AddressPlan, other_family
from tests.builders import context
from tests.printed import comment, printed

_NEW = "-m conntrack --ctstate NEW"
_FIREWALL = f"{_NEW} {comment('kubernetes load balancer firewall')} -j KUBE-PROXY-FIREWALL"
_HEALTH_CHECKS = f"{comment('kubernetes health check service ports')} -j KUBE-NODEPORTS"
_EXTERNAL = (
    f"{_NEW} {comment('kubernetes externally-visible service portals')} -j KUBE-EXTERNAL-SERVICES"
)
_PORTALS = f"{comment('kubernetes service portals')} -j KUBE-SERVICES"
_FORWARD = f"{comment('kubernetes forwarding rules')} -j KUBE-FORWARD"
_LAST_RULE = comment("kubernetes service nodeports; NOTE: this must be the last rule in this chain")


def test_nat_hooks_lead_into_the_service_chains(plan: AddressPlan) -> None:
    """Traffic that arrives or starts here is translated, what leaves may be masqueraded."""
    rules = printed(plan)
    assert rules.nat("PREROUTING") == [_PORTALS]
    assert rules.nat("OUTPUT") == [_PORTALS]
    assert rules.nat("POSTROUTING") == [
        f"{comment('kubernetes postrouting rules')} -j KUBE-POSTROUTING"
    ]
    assert rules.nat("INPUT") == []


def test_filter_hooks_drop_before_they_accept(plan: AddressPlan) -> None:
    """The firewall stands first everywhere: KUBE-FORWARD accepts packets with both marks."""
    rules = printed(plan, in_context=context(plan, localhost_node_ports=False))
    assert rules.filter("INPUT") == [_FIREWALL, _HEALTH_CHECKS, _EXTERNAL]
    assert rules.filter("FORWARD") == [_FIREWALL, _FORWARD, f"{_NEW} {_PORTALS}", _EXTERNAL]
    assert rules.filter("OUTPUT") == [_FIREWALL, f"{_NEW} {_PORTALS}"]


def test_localhost_node_ports_need_kubelet_s_guard_of_localhost() -> None:
    """In IPv4, what comes from outside for 127.0.0.0/8 is dropped in the chain kubelet shares."""
    rules = printed(IPV4)
    assert rules.filter("INPUT")[-1] == "-j KUBE-FIREWALL"
    assert rules.filter("OUTPUT")[-1] == "-j KUBE-FIREWALL"
    (guard,) = rules.filter("KUBE-FIREWALL")
    assert guard == (
        f"! -s 127.0.0.0/8 -d 127.0.0.0/8 {comment('block incoming localnet connections')} "
        "-m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j DROP"
    )


@pytest.mark.parametrize(("family_plan", "is_on"), [(IPV4, False), (IPV6, True), (IPV6, False)])
def test_without_localhost_node_ports_kubelet_s_chain_is_left_alone(
    family_plan: AddressPlan, *, is_on: bool
) -> None:
    """It is neither hooked nor created."""
    rules = printed(family_plan, in_context=context(family_plan, localhost_node_ports=is_on))
    assert "-j KUBE-FIREWALL" not in (*rules.filter("INPUT"), *rules.filter("OUTPUT"))
    assert all("KUBE-FIREWALL" not in table.shared_chains for table in rules.tables.values())


def test_marks_are_set_with_or(plan: AddressPlan) -> None:
    """Other bits of the packet mark stay as they are."""
    rules = printed(plan)
    assert rules.nat("KUBE-MARK-MASQ") == ["-j MARK --set-xmark 0x4000/0x4000"]
    assert rules.nat("KUBE-MARK-DROP") == ["-j MARK --set-xmark 0x8000/0x8000"]


def test_postrouting_masquerades_what_is_marked_and_clears_the_mark(plan: AddressPlan) -> None:
    """Everything else returns at once."""
    assert printed(plan).nat("KUBE-POSTROUTING") == [
        "-m mark ! --mark 0x4000/0x4000 -j RETURN",
        "-j MARK --set-xmark 0x4000/0x0",
        f"{comment('kubernetes service traffic requiring SNAT')} -j MASQUERADE --random-fully",
    ]


def test_the_drop_mark_is_obeyed_by_this_agent(plan: AddressPlan) -> None:
    """Kubelet no longer does it."""
    assert printed(plan).filter("KUBE-PROXY-FIREWALL") == [
        f"{comment('kubernetes load balancer firewall')} -m mark --mark 0x8000/0x8000 -j DROP"
    ]


def test_forwarding_accepts_marked_and_known_connections(plan: AddressPlan) -> None:
    """What conntrack calls invalid is dropped first."""
    known = comment("kubernetes forwarding conntrack rule")
    assert printed(plan).filter("KUBE-FORWARD") == [
        "-m conntrack --ctstate INVALID -j DROP",
        f"{comment('kubernetes forwarding rules')} -m mark --mark 0x4000/0x4000 -j ACCEPT",
        f"{known} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
    ]


def test_invalid_packets_pass_where_conntrack_is_liberal(plan: AddressPlan) -> None:
    """With nf_conntrack_tcp_be_liberal set the first rule is left out."""
    rules = printed(plan, in_context=context(plan, drop_invalid=False))
    assert len(rules.filter("KUBE-FORWARD")) == 2
    assert "INVALID" not in "".join(rules.filter("KUBE-FORWARD"))


def test_other_mark_bits_are_used_everywhere(plan: AddressPlan) -> None:
    """Bits 0 and 31 stand in for 14 and 15, which appear nowhere."""
    rules = printed(plan, in_context=context(plan, masquerade_bit=0, drop_bit=31))
    assert rules.nat("KUBE-MARK-MASQ") == ["-j MARK --set-xmark 0x1/0x1"]
    assert rules.nat("KUBE-MARK-DROP") == ["-j MARK --set-xmark 0x80000000/0x80000000"]
    assert rules.nat("KUBE-POSTROUTING")[:2] == [
        "-m mark ! --mark 0x1/0x1 -j RETURN",
        "-j MARK --set-xmark 0x1/0x0",
    ]
    assert "--mark 0x1/0x1 -j ACCEPT" in rules.filter("KUBE-FORWARD")[1]
    assert "--mark 0x80000000/0x80000000 -j DROP" in rules.filter("KUBE-PROXY-FIREWALL")[0]


@pytest.mark.parametrize(
    ("family_plan", "is_on", "places"),
    [
        (IPV4, True, ""),
        (IPV4, False, "! -d 127.0.0.0/8 "),
        (IPV6, True, "! -d ::1/128 "),
        (IPV6, False, "! -d ::1/128 "),
    ],
)
def test_node_ports_are_served_on_local_addresses(
    family_plan: AddressPlan, *, is_on: bool, places: str
) -> None:
    """The last rule of KUBE-SERVICES; loopback only where localhost node ports are on."""
    rules = printed(family_plan, in_context=context(family_plan, localhost_node_ports=is_on))
    assert rules.nat("KUBE-SERVICES") == [
        f"{places}{_LAST_RULE} -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS"
    ]


def test_restricted_node_ports_have_one_rule_for_each_address(plan: AddressPlan) -> None:
    """They take the place of the rule for all local addresses."""
    addresses = tuple(sorted((plan.node_ip, plan.external_ip)))
    restricted = context(plan, restrict_node_ports=True, node_port_addresses=addresses)
    assert printed(plan, in_context=restricted).nat("KUBE-SERVICES") == [
        f"-d {plan.host(address)} {_LAST_RULE} -j KUBE-NODEPORTS" for address in addresses
    ]


def test_a_family_without_a_node_port_address_serves_no_node_ports(plan: AddressPlan) -> None:
    """Restricted to the other family's addresses, nothing leads to KUBE-NODEPORTS in nat."""
    restricted = context(
        plan, restrict_node_ports=True, node_port_addresses=(other_family(plan).node_ip,)
    )
    assert printed(plan, in_context=restricted).nat("KUBE-SERVICES") == []
