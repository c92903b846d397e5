# SPDX-License-Identifier: Apache-2.0
"""Questions about addresses."""

from __future__ import annotations

import pytest

from rules import addresses
from rules.ir import Family
from tests.address_plan import IPV4, IPV6, AddressPlan, other_family

_MIXED = (IPV4.cluster_ip, IPV6.node_network, IPV6.cluster_ip, IPV4.node_network)


def test_the_family_of_an_address_or_network_is_read_off_its_text(plan: AddressPlan) -> None:
    """Addresses and networks of a plan are of the plan's family."""
    assert addresses.family_of(plan.cluster_ip) is plan.family
    assert addresses.family_of(plan.node_network) is plan.family


@pytest.mark.parametrize(
    ("family", "expected"),
    [
        (Family.IPV4, (IPV4.cluster_ip, IPV4.node_network)),
        (Family.IPV6, (IPV6.node_network, IPV6.cluster_ip)),
    ],
)
def test_filtering_by_family_keeps_the_order(family: Family, expected: tuple[str, ...]) -> None:
    """Those of the family remain, in the order given."""
    assert addresses.of_family(_MIXED, family) == expected


def test_a_host_network_holds_one_address(plan: AddressPlan) -> None:
    """The prefix has all bits of the family."""
    assert addresses.host_network(plan.local_pod) == plan.host(plan.local_pod)


def test_an_endpoint_is_written_with_brackets_in_ipv6(plan: AddressPlan) -> None:
    """The text of an endpoint is unambiguous in both families."""
    assert addresses.endpoint_text(plan.local_pod, 80) == plan.endpoint(plan.local_pod)


def test_a_network_contains_its_addresses_only(plan: AddressPlan) -> None:
    """Neither addresses beside it nor those of the other family are in a network."""
    assert addresses.contains(plan.node_network, plan.node_ip)
    assert not addresses.contains(plan.node_network, plan.cluster_ip)
    assert not addresses.contains(plan.everywhere, other_family(plan).node_ip)


def test_loopback_addresses_are_known(plan: AddressPlan) -> None:
    """127.0.0.0/8 and ::1 are loopback, a node's address is not."""
    assert addresses.is_loopback(plan.loopback)
    assert not addresses.is_loopback(plan.node_ip)
