# SPDX-License-Identifier: Apache-2.0
"""What each family makes of the options and the node."""

from __future__ import annotations

import pytest

from rules.context import DetectLocalMode, LocalDetector, ProxyOptions, family_context
from tests.address_plan import IPV4, IPV6, THIS_NODE, ZONE, AddressPlan, other_family
from tests.builders import context, node

_BOTH_CLUSTER_CIDRS = (IPV4.cluster_cidr, IPV6.cluster_cidr)


def test_a_family_sees_only_its_own_addresses_of_the_node(plan: AddressPlan) -> None:
    """Addresses of the other family do not appear."""
    seen = family_context(ProxyOptions(), node(IPV4, IPV6), plan.family)
    assert seen.node_addresses == (plan.node_ip,)
    assert (seen.node_name, seen.zone) == (THIS_NODE, ZONE)


def test_marks_are_single_bits() -> None:
    """The bit numbers of the options become marks; the defaults are 0x4000 and 0x8000."""
    by_default = context(IPV4)
    assert (by_default.masquerade_mark, by_default.drop_mark) == (0x4000, 0x8000)
    chosen = context(IPV4, masquerade_bit=0, drop_bit=31)
    assert (chosen.masquerade_mark, chosen.drop_mark) == (0x1, 0x8000_0000)


def _detector(plan: AddressPlan, options: ProxyOptions) -> LocalDetector | None:
    return family_context(options, node(IPV4, IPV6), plan.family).local_detector


def test_cluster_cidr_tells_local_pods_by_the_family_s_cluster_network(plan: AddressPlan) -> None:
    """The cluster CIDR of the family is the local source."""
    detector = _detector(plan, ProxyOptions(cluster_cidrs=_BOTH_CLUSTER_CIDRS))
    assert detector == LocalDetector(source=plan.cluster_cidr)


def test_node_cidr_tells_local_pods_by_the_node_s_pod_network(plan: AddressPlan) -> None:
    """The node's pod CIDR of the family is the local source, whatever the cluster's is."""
    options = ProxyOptions(
        detect_local_mode=DetectLocalMode.NODE_CIDR, cluster_cidrs=_BOTH_CLUSTER_CIDRS
    )
    assert _detector(plan, options) == LocalDetector(source=plan.node_cidr)


def test_bridge_interface_tells_local_pods_by_an_exact_name(plan: AddressPlan) -> None:
    """The bridge's name is matched as it is."""
    options = ProxyOptions(
        detect_local_mode=DetectLocalMode.BRIDGE_INTERFACE, bridge_interface="cni0"
    )
    assert _detector(plan, options) == LocalDetector(in_interface="cni0")


def test_interface_name_prefix_matches_every_name_that_begins_with_it(plan: AddressPlan) -> None:
    """The prefix gets iptables' wildcard."""
    options = ProxyOptions(
        detect_local_mode=DetectLocalMode.INTERFACE_NAME_PREFIX, interface_name_prefix="veth"
    )
    assert _detector(plan, options) == LocalDetector(in_interface="veth+")


@pytest.mark.parametrize("mode", DetectLocalMode)
def test_without_the_value_that_a_mode_needs_there_is_no_detector(
    plan: AddressPlan, mode: DetectLocalMode
) -> None:
    """An option that is missing, or of the other family only, tells nobody apart."""
    other = other_family(plan)
    options = ProxyOptions(detect_local_mode=mode, cluster_cidrs=(other.cluster_cidr,))
    assert family_context(options, node(other), plan.family).local_detector is None


def test_localhost_node_ports_exist_in_ipv4_only() -> None:
    """The kernel routes nothing else to ::1, so IPv6 never serves node ports there."""
    assert context(IPV4).localhost_node_ports
    assert not context(IPV6).localhost_node_ports
    assert not context(IPV4, localhost_node_ports=False).localhost_node_ports


def test_node_ports_are_on_all_addresses_unless_restricted(plan: AddressPlan) -> None:
    """Addresses without the option to restrict mean nothing."""
    assert context(plan, node_port_addresses=(plan.node_ip,)).node_port_addresses is None


def test_restricted_node_ports_name_each_address_of_the_family_once_in_order(
    plan: AddressPlan,
) -> None:
    """Duplicates and the other family's addresses are left out, the rest is sorted."""
    given = (plan.node_ip, other_family(plan).node_ip, plan.external_ip, plan.node_ip)
    restricted = context(plan, restrict_node_ports=True, node_port_addresses=given)
    assert restricted.node_port_addresses == tuple(sorted((plan.node_ip, plan.external_ip)))


@pytest.mark.parametrize(
    ("loopback_plan", "localhost_node_ports", "is_kept"),
    [(IPV4, True, True), (IPV4, False, False), (IPV6, True, False)],
)
def test_a_loopback_address_serves_node_ports_only_where_localhost_does(
    loopback_plan: AddressPlan, *, localhost_node_ports: bool, is_kept: bool
) -> None:
    """The list of addresses cannot open what the localhost option closes."""
    restricted = context(
        loopback_plan,
        restrict_node_ports=True,
        localhost_node_ports=localhost_node_ports,
        node_port_addresses=(loopback_plan.loopback,),
    )
    assert restricted.node_port_addresses == ((loopback_plan.loopback,) if is_kept else ())
