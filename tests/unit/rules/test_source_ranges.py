# SPDX-License-Identifier: Apache-2.0
"""Who may use a load-balancer VIP."""

from __future__ import annotations

import pytest

from rules.source_ranges import Admission, admission
from tests.address_plan import IPV4, IPV6, AddressPlan, other_family
from tests.builders import context, service

_EVERYBODY = Admission(everybody=True)


def _admission(plan: AddressPlan, *ranges: str, is_strict: bool = False) -> Admission:
    made = service(plan, source_ranges=ranges)
    return admission(made, context(plan, strict_source_ranges=is_strict))


@pytest.mark.parametrize("is_strict", [True, False])
def test_without_ranges_everybody_is_admitted(plan: AddressPlan, *, is_strict: bool) -> None:
    """No range is no restriction, strict or not."""
    assert _admission(plan, is_strict=is_strict) == _EVERYBODY


@pytest.mark.parametrize("is_strict", [True, False])
def test_a_range_of_everything_admits_everybody_of_its_family(
    plan: AddressPlan, *, is_strict: bool
) -> None:
    """A /0 beside narrower ranges makes them pointless."""
    ranges = (plan.client_network, plan.everywhere)
    assert _admission(plan, *ranges, is_strict=is_strict) == _EVERYBODY


@pytest.mark.parametrize("network", ["10.0.0.0/10", "10.0.0.0/30", "0.0.0.0/1"])
def test_a_prefix_length_that_only_ends_with_zero_is_a_restriction(network: str) -> None:
    """Nothing but /0 is everything."""
    assert _admission(IPV4, network) == Admission(everybody=False, networks=(network,))


def test_a_range_of_everything_says_nothing_about_the_other_family() -> None:
    """0.0.0.0/0 does not lift the restriction of IPv6."""
    found = _admission(IPV6, IPV4.everywhere, IPV6.client_network)
    assert found == Admission(everybody=False, networks=(IPV6.client_network,))


def test_ranges_of_the_family_are_kept_in_order(plan: AddressPlan) -> None:
    """Those of the other family are left out."""
    ranges = (plan.node_cidr, other_family(plan).node_network, plan.client_network)
    assert _admission(plan, *ranges).networks == (plan.node_cidr, plan.client_network)


def test_a_range_with_a_node_address_in_it_admits_the_node_itself(plan: AddressPlan) -> None:
    """Only a range that holds the address does."""
    assert _admission(plan, plan.node_network).node_itself
    assert not _admission(plan, plan.client_network).node_itself


@pytest.mark.parametrize("is_strict", [True, False])
def test_ranges_of_the_other_family_only_close_the_vip_if_strict(
    plan: AddressPlan, *, is_strict: bool
) -> None:
    """Open as with kube-proxy by default, closed if strict, and reported in both cases."""
    found = _admission(plan, other_family(plan).client_network, is_strict=is_strict)
    assert found.nobody is is_strict
    assert found.everybody is not is_strict
    assert found.other_family_only
