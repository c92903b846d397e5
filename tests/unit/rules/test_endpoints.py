# SPDX-License-Identifier: Apache-2.0
"""Which endpoints count: every sentence of the section in rules.md.

That slices are matched to Services by their label and that nil conditions get their meaning is the
decoder's part and tested there.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import pytest

from rules.endpoints import UsableEndpoints, usable_endpoints
from rules.model import EndpointSlice, Service, SliceEndpoint, SlicePort, TrafficPolicy
from tests.address_plan import (
    OTHER_NODE,
    OTHER_ZONE,
    THIS_NODE,
    ZONE,
    AddressPlan,
    other_family,
)
from tests.builders import (
    NODE_PORT,
    PodFields,
    context,
    endpoint_slice,
    local,
    remote,
    service,
    service_port,
)

_CLUSTER, _LOCAL = TrafficPolicy.CLUSTER, TrafficPolicy.LOCAL
_TERMINATING: PodFields = {"ready": False, "serving": True, "terminating": True}


def _usable(plan: AddressPlan, made: Service, *slices: EndpointSlice) -> UsableEndpoints:
    return usable_endpoints(made, made.ports[0], slices, context(plan))


def _cluster(plan: AddressPlan, *endpoints: SliceEndpoint) -> list[str]:
    """Addresses of the Cluster endpoints of a plain Service."""
    usable = _usable(plan, service(plan), endpoint_slice(plan, *endpoints))
    return [endpoint.address for endpoint in usable.cluster]


def _local(plan: AddressPlan, *endpoints: SliceEndpoint) -> list[str]:
    """Addresses of the Local endpoints of a Service with internal policy Local."""
    made = service(plan, internal_traffic_policy=_LOCAL)
    return [
        endpoint.address for endpoint in _usable(plan, made, endpoint_slice(plan, *endpoints)).local
    ]


def test_endpoints_come_from_all_slices_of_the_family(plan: AddressPlan) -> None:
    """Two slices add up; a slice of the other family says nothing."""
    other = other_family(plan)
    usable = _usable(
        plan,
        service(plan),
        endpoint_slice(plan, remote(plan.remote_pod)),
        endpoint_slice(plan, local(plan.local_pod), name="web-2"),
        endpoint_slice(other, local(other.local_pod), name="web-3"),
    )
    assert [endpoint.text for endpoint in usable.cluster] == [
        plan.endpoint(plan.local_pod),
        plan.endpoint(plan.remote_pod),
    ]


def test_slice_ports_are_matched_by_name(plan: AddressPlan) -> None:
    """The port of the same name gives the number; ports of other names do not count."""
    made = service(plan, ports=(service_port(name="http"),))
    ports = (SlicePort("http", 8080), SlicePort("", 1), SlicePort("metrics", 2))
    usable = _usable(plan, made, endpoint_slice(plan, local(plan.local_pod), ports=ports))
    assert [endpoint.text for endpoint in usable.cluster] == [plan.endpoint(plan.local_pod, 8080)]


def test_one_address_on_two_ports_is_two_endpoints(plan: AddressPlan) -> None:
    """While a target port changes, slices name the old and the new one."""
    usable = _usable(
        plan,
        service(plan),
        endpoint_slice(plan, local(plan.local_pod)),
        endpoint_slice(plan, local(plan.local_pod), name="web-2", ports=(SlicePort("", 8080),)),
    )
    assert [endpoint.port for endpoint in usable.cluster] == [80, 8080]


def test_endpoints_are_sorted_as_text(plan: AddressPlan) -> None:
    """The order is that of the text, which is not that of the numbers."""
    nine, ten = plan.local_pod[:-1] + "9", plan.local_pod[:-1] + "10"
    usable = _usable(plan, service(plan), endpoint_slice(plan, local(nine), local(ten)))
    assert [endpoint.address for endpoint in usable.cluster] == [ten, nine]


@pytest.mark.parametrize("in_one_slice", [True, False])
def test_of_two_entries_for_one_address_the_one_that_is_not_terminating_wins(
    plan: AddressPlan, *, in_one_slice: bool
) -> None:
    """Whatever the order, and in one slice or in two."""
    entries = (
        local(plan.local_pod),
        local(plan.local_pod, **_TERMINATING),
    )
    for first, second in permutations(entries):
        slices = (
            (endpoint_slice(plan, first, second),)
            if in_one_slice
            else (endpoint_slice(plan, first), endpoint_slice(plan, second, name="web-2"))
        )
        (endpoint,) = _usable(plan, service(plan), *slices).cluster
        assert not endpoint.state.terminating


@pytest.mark.parametrize(
    "rival", [{"serving": False}, {"ready": False}, {"zone_hints": (OTHER_ZONE,)}], ids=str
)
def test_which_of_two_like_entries_wins_does_not_depend_on_their_order(
    plan: AddressPlan, rival: PodFields
) -> None:
    """Slices that disagree about an address give the same rules however they are learned."""
    entries = (local(plan.local_pod), local(plan.local_pod, **rival))
    first, second = (
        _usable(plan, service(plan), endpoint_slice(plan, *order))
        for order in permutations(entries)
    )
    assert first == second


def test_an_endpoint_is_local_if_its_node_is_this_one(plan: AddressPlan) -> None:
    """Endpoints of other nodes, and of no node, are not."""
    nowhere = SliceEndpoint(plan.other_remote_pod)
    assert _local(plan, local(plan.local_pod), remote(plan.remote_pod), nowhere) == [plan.local_pod]


def test_ready_endpoints_are_preferred(plan: AddressPlan) -> None:
    """Serving-terminating and unready ones are left alone while one is ready."""
    assert _cluster(
        plan,
        remote(plan.remote_pod),
        local(plan.local_pod, **_TERMINATING),
        local(plan.other_local_pod, ready=False, serving=False),
    ) == [plan.remote_pod]


def test_without_a_ready_endpoint_the_serving_terminating_ones_serve(plan: AddressPlan) -> None:
    """Those that no longer serve, and those not yet ready, do not."""
    assert _cluster(
        plan,
        remote(plan.remote_pod, **_TERMINATING),
        local(plan.local_pod, ready=False, serving=False, terminating=True),
        local(plan.other_local_pod, ready=False, serving=True, terminating=False),
    ) == [plan.remote_pod]


def test_local_endpoints_fall_back_to_local_serving_terminating_ones(plan: AddressPlan) -> None:
    """A ready endpoint elsewhere does not keep this node's last one from serving."""
    assert _local(
        plan,
        remote(plan.remote_pod),
        local(plan.local_pod, **_TERMINATING),
    ) == [plan.local_pod]


def test_local_ready_endpoints_come_before_local_terminating_ones(plan: AddressPlan) -> None:
    """The fall-back is only for nodes without a ready one."""
    assert _local(
        plan,
        local(plan.other_local_pod),
        local(plan.local_pod, **_TERMINATING),
    ) == [plan.other_local_pod]


@pytest.mark.parametrize(
    ("internal", "external", "has_node_port", "needs_cluster", "needs_local"),
    [
        (_CLUSTER, _CLUSTER, False, True, False),
        (_CLUSTER, _CLUSTER, True, True, False),
        (_CLUSTER, _LOCAL, False, True, False),
        (_CLUSTER, _LOCAL, True, True, True),
        (_LOCAL, _CLUSTER, False, False, True),
        (_LOCAL, _CLUSTER, True, True, True),
        (_LOCAL, _LOCAL, False, False, True),
        (_LOCAL, _LOCAL, True, True, True),
    ],
)
def test_policies_and_ways_in_decide_which_sets_are_needed(
    plan: AddressPlan,
    *,
    internal: TrafficPolicy,
    external: TrafficPolicy,
    has_node_port: bool,
    needs_cluster: bool,
    needs_local: bool,
) -> None:
    """A set that nothing asks for stays empty."""
    made = service(
        plan,
        ports=(service_port(node_port=NODE_PORT if has_node_port else 0),),
        internal_traffic_policy=internal,
        external_traffic_policy=external,
    )
    slices = endpoint_slice(plan, local(plan.local_pod), remote(plan.remote_pod))
    usable = _usable(plan, made, slices)
    assert bool(usable.cluster) is needs_cluster
    assert bool(usable.local) is needs_local


def test_external_and_ingress_ips_make_a_service_reachable_from_outside(plan: AddressPlan) -> None:
    """Either is an outside address, just as a node port is."""
    slices = endpoint_slice(plan, local(plan.local_pod))
    by_external = service(plan, external_ips=(plan.external_ip,), external_traffic_policy=_LOCAL)
    by_ingress = service(plan, ingress_ips=(plan.ingress_ip,), external_traffic_policy=_LOCAL)
    assert _usable(plan, by_external, slices).local
    assert _usable(plan, by_ingress, slices).local


@pytest.mark.parametrize(
    ("fields", "exists"),
    [
        ({}, True),
        (_TERMINATING, True),
        ({"ready": False, "serving": False, "terminating": True}, False),
        ({"ready": False, "serving": True, "terminating": False}, False),
    ],
)
def test_endpoints_of_other_nodes_exist_even_if_the_policy_forbids_them(
    plan: AddressPlan, *, fields: PodFields, exists: bool
) -> None:
    """Whether any node could serve decides between dropping and rejecting."""
    made = service(plan, internal_traffic_policy=_LOCAL)
    elsewhere = remote(plan.remote_pod, **fields)
    usable = _usable(plan, made, endpoint_slice(plan, elsewhere))
    assert not usable.local
    assert usable.exist_anywhere is exists


_HERE = (THIS_NODE,)
_THERE = (OTHER_NODE,)
_MY_ZONE = (ZONE,)
_THEIR_ZONE = (OTHER_ZONE,)
_NONE: tuple[str, ...] = ()


@pytest.mark.parametrize(
    ("first_hints", "second_hints", "expected"),
    [
        pytest.param((_NONE, _NONE), (_NONE, _NONE), "both", id="no hints"),
        pytest.param((_HERE, _NONE), (_THERE, _NONE), "first", id="node hints"),
        pytest.param((_HERE, _NONE), (_NONE, _NONE), "both", id="node hint missing on one"),
        pytest.param((_THERE, _NONE), (_THERE, _NONE), "both", id="node hints, none names me"),
        pytest.param((_NONE, _MY_ZONE), (_NONE, _THEIR_ZONE), "first", id="zone hints"),
        pytest.param((_NONE, _MY_ZONE), (_NONE, _NONE), "both", id="zone hint missing on one"),
        pytest.param(
            (_NONE, _THEIR_ZONE), (_NONE, _THEIR_ZONE), "both", id="zone hints, none names mine"
        ),
        pytest.param(
            (_HERE, _THEIR_ZONE), (_THERE, _MY_ZONE), "first", id="node hints go before zone hints"
        ),
        pytest.param(
            (_THERE, _MY_ZONE), (_THERE, _THEIR_ZONE), "first", id="zone hints if no node hint fits"
        ),
        pytest.param((_NONE, (OTHER_ZONE, ZONE)), (_NONE, _MY_ZONE), "both", id="several zones"),
    ],
)
def test_topology_hints_narrow_the_choice_only_if_all_carry_them_and_one_fits(
    plan: AddressPlan,
    first_hints: tuple[tuple[str, ...], tuple[str, ...]],
    second_hints: tuple[tuple[str, ...], tuple[str, ...]],
    expected: str,
) -> None:
    """Node hints first, then zone hints, otherwise everything."""
    first = local(plan.local_pod, node_hints=first_hints[0], zone_hints=first_hints[1])
    second = remote(plan.remote_pod, node_hints=second_hints[0], zone_hints=second_hints[1])
    all_pods = [plan.local_pod, plan.remote_pod]
    assert _cluster(plan, first, second) == (all_pods if expected == "both" else all_pods[:1])


def test_hints_of_endpoints_that_are_not_ready_do_not_count(plan: AddressPlan) -> None:
    """Neither a missing hint of an unready endpoint nor its hint for this zone matters."""
    chosen = _cluster(
        plan,
        local(plan.local_pod, zone_hints=_MY_ZONE),
        remote(plan.remote_pod, zone_hints=_THEIR_ZONE),
        remote(plan.other_remote_pod, ready=False, serving=False),
    )
    assert chosen == [plan.local_pod]


def test_hints_do_not_narrow_serving_terminating_endpoints(plan: AddressPlan) -> None:
    """When nothing is ready, everything that still serves is needed."""
    both = (
        local(plan.local_pod, zone_hints=_MY_ZONE)._replace(**_TERMINATING),
        remote(plan.remote_pod, zone_hints=_THEIR_ZONE)._replace(**_TERMINATING),
    )
    assert _cluster(plan, *both) == [plan.local_pod, plan.remote_pod]


def test_hints_do_not_narrow_local_endpoints(plan: AddressPlan) -> None:
    """A local policy is stronger than a hint for another zone."""
    assert _local(plan, local(plan.local_pod, zone_hints=_THEIR_ZONE)) == [plan.local_pod]


def test_a_node_without_a_zone_follows_no_zone_hint(plan: AddressPlan) -> None:
    """An empty zone is not a zone that a hint could name."""
    made = service(plan)
    slices = (
        endpoint_slice(
            plan,
            local(plan.local_pod, zone_hints=("",)),
            remote(plan.remote_pod, zone_hints=_THEIR_ZONE),
        ),
    )
    nowhere = replace(context(plan), zone="")
    usable = usable_endpoints(made, made.ports[0], slices, nowhere)
    assert len(usable.cluster) == 2
