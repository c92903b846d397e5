# SPDX-License-Identifier: Apache-2.0
"""Which Services load balancers may ask for, and how many endpoints they are told of."""

from __future__ import annotations

from typing import Unpack

import pytest

from rules.health_checks import HealthCheckService, health_check_services, listening_addresses
from rules.model import ServiceState, ServiceType, SliceEndpoint, SlicePort, TrafficPolicy
from tests.address_plan import IPV4, IPV6, PLANS, AddressPlan, other_family
from tests.builders import (
    WEB,
    ServiceFields,
    context,
    endpoint_slice,
    local,
    remote,
    service,
    state,
)

PORT = 32100


@pytest.fixture(params=PLANS, ids=lambda plan: plan.family.value)
def plan(request: pytest.FixtureRequest) -> AddressPlan:
    """The addresses of each family in turn."""
    chosen: AddressPlan = request.param
    return chosen


def _balanced(
    plan: AddressPlan, *endpoints: SliceEndpoint, **fields: Unpack[ServiceFields]
) -> ServiceState:
    given = ServiceFields(
        type=ServiceType.LOAD_BALANCER,
        external_traffic_policy=TrafficPolicy.LOCAL,
        health_check_node_port=PORT,
    )
    given.update(fields)
    return state(plan, *endpoints, **given)


def _told(plan: AddressPlan, one: ServiceState) -> HealthCheckService | None:
    return health_check_services({one.service.key: one}, context(plan)).get(one.service.key)


def test_only_ready_endpoints_of_this_node_count(plan: AddressPlan) -> None:
    """Endpoints of other nodes and those that are not ready do not count."""
    balanced = _balanced(
        plan,
        local(plan.local_pod),
        local(plan.other_local_pod, ready=False),
        remote(plan.remote_pod),
    )
    assert _told(plan, balanced) == HealthCheckService(PORT, 1)


def test_terminating_endpoints_do_not_count(plan: AddressPlan) -> None:
    """A node whose last endpoints end is told to be without, even while they still serve."""
    balanced = _balanced(plan, local(plan.local_pod, ready=False, serving=True, terminating=True))
    assert _told(plan, balanced) == HealthCheckService(PORT, 0)


def test_an_endpoint_with_two_ports_counts_once(plan: AddressPlan) -> None:
    """Endpoints are counted by address, whatever ports and slices name it."""
    ports = (SlicePort("http", 80), SlicePort("https", 443))
    made = _balanced(plan)
    slices = tuple(
        endpoint_slice(plan, local(plan.local_pod), name=name, ports=ports) for name in ("a", "b")
    )
    assert _told(plan, made._replace(slices=slices)) == HealthCheckService(PORT, 1)


def test_slices_without_ports_do_not_count(plan: AddressPlan) -> None:
    """An endpoint that has no port cannot serve."""
    made = _balanced(plan)
    slices = (endpoint_slice(plan, local(plan.local_pod), ports=()),)
    assert _told(plan, made._replace(slices=slices)) == HealthCheckService(PORT, 0)


def test_endpoints_of_the_other_family_do_not_count(plan: AddressPlan) -> None:
    """Each family tells of its own endpoints."""
    other = other_family(plan)
    made = _balanced(plan, local(plan.local_pod), cluster_ips=(plan.cluster_ip, other.cluster_ip))
    assert _told(other, made) == HealthCheckService(PORT, 0)


def test_a_service_before_it_has_addresses_is_told_of(plan: AddressPlan) -> None:
    """The endpoints count before the load balancer has an address: it may wait for the answer."""
    balanced = _balanced(plan, local(plan.local_pod), ingress_ips=())
    assert _told(plan, balanced) == HealthCheckService(PORT, 1)


@pytest.mark.parametrize(
    "fields",
    [{"health_check_node_port": 0}, {"cluster_ips": ()}, {"proxy_name": "other"}],
    ids=["without a port", "headless", "of another proxy"],
)
def test_services_that_nobody_may_ask_for(plan: AddressPlan, fields: ServiceFields) -> None:
    """Services without a health-check node port, and those that are not served, have no server."""
    assert _told(plan, _balanced(plan, local(plan.local_pod), **fields)) is None


def test_a_family_that_the_service_does_not_have() -> None:
    """A Service without a cluster IP of the family is not asked for in it."""
    balanced = ServiceState(service(IPV4, health_check_node_port=PORT), ())
    assert health_check_services({WEB: balanced}, context(IPV6)) == {}


def test_health_checks_are_answered_where_node_ports_are(plan: AddressPlan) -> None:
    """On all addresses of the family, or on those that node ports are restricted to."""
    restricted = context(plan, restrict_node_ports=True, node_port_addresses=(plan.node_ip,))
    everywhere = {IPV4.family: ("0.0.0.0",), IPV6.family: ("::",)}  # noqa: S104 - nothing listens

    assert listening_addresses(context(plan)) == everywhere[plan.family]
    assert listening_addresses(restricted) == (plan.node_ip,)
