# SPDX-License-Identifier: Apache-2.0
"""Which Services this agent serves, and what is said about one besides its rules."""

from __future__ import annotations

import pytest

from rules.model import ServiceType
from rules.service import NO_RULES, build_service
from tests.address_plan import AddressPlan, other_family
from tests.builders import ServiceFields, context, local, state


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"cluster_ips": ()}, id="headless"),
        pytest.param({"type": ServiceType.EXTERNAL_NAME}, id="ExternalName"),
        pytest.param({"proxy_name": "another-proxy"}, id="another proxy's"),
        pytest.param({"ports": ()}, id="no ports"),
    ],
)
def test_services_that_are_not_ours_have_no_rules(plan: AddressPlan, fields: ServiceFields) -> None:
    """Headless ones, names, and those labelled for another proxy are left alone."""
    assert build_service(state(plan, local(plan.local_pod), **fields), context(plan)) == NO_RULES


def test_a_service_without_a_cluster_ip_of_the_family_has_no_rules_there(plan: AddressPlan) -> None:
    """Its other addresses of that family do not make it a service of the family."""
    made = state(
        plan,
        local(plan.local_pod),
        cluster_ips=(other_family(plan).cluster_ip,),
        external_ips=(plan.external_ip,),
        health_check_node_port=32000,
    )
    assert build_service(made, context(plan)) is NO_RULES


@pytest.mark.parametrize("is_strict", [True, False])
def test_ranges_of_the_other_family_only_are_reported(
    plan: AddressPlan, *, is_strict: bool
) -> None:
    """Whoever asked for a firewall should know, whether this family is open or closed."""
    made = state(
        plan,
        local(plan.local_pod),
        ingress_ips=(plan.ingress_ip,),
        source_ranges=(other_family(plan).client_network,),
    )
    rules = build_service(made, context(plan, strict_source_ranges=is_strict))
    assert rules.ranges_of_other_family_only


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({}, id="no ranges"),
        pytest.param({"source_ranges": ("192.0.2.0/24", "2001:db8::/32")}, id="both families"),
    ],
)
def test_nothing_is_reported_if_the_ranges_say_something_about_the_family(
    plan: AddressPlan, fields: ServiceFields
) -> None:
    """A range of this family, or none at all, is what the owner meant."""
    made = state(plan, local(plan.local_pod), **fields)
    assert not build_service(made, context(plan)).ranges_of_other_family_only


def test_nothing_is_reported_without_an_ingress_ip_of_the_family(plan: AddressPlan) -> None:
    """There is no VIP that could be open by mistake."""
    other = other_family(plan)
    made = state(
        plan,
        local(plan.local_pod),
        ingress_ips=(other.ingress_ip,),
        source_ranges=(other.client_network,),
    )
    assert not build_service(made, context(plan)).ranges_of_other_family_only
