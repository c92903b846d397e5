# SPDX-License-Identifier: Apache-2.0
"""Which of a service port's chains exist: all that something leads to, and no others."""

from __future__ import annotations

from itertools import product

import pytest

from rules.model import SliceEndpoint, TrafficPolicy
from tests.address_plan import IPV4, AddressPlan, other_family
from tests.builders import NODE_PORT, context, local, remote, service_port, state
from tests.printed import EXT, FW, SVC, SVL, printed

_CLUSTER, _LOCAL = TrafficPolicy.CLUSTER, TrafficPolicy.LOCAL


def _chains(
    plan: AddressPlan,
    *endpoints: SliceEndpoint,
    ways_in: frozenset[str] = frozenset(),
    internal: TrafficPolicy = _CLUSTER,
    external: TrafficPolicy = _CLUSTER,
) -> set[str]:
    """The service port's chains, endpoint chains aside."""
    rules = printed(
        plan,
        state(
            plan,
            *endpoints,
            ports=(service_port(node_port=NODE_PORT if "node port" in ways_in else 0),),
            external_ips=(plan.external_ip,) if "external IP" in ways_in else (),
            ingress_ips=(plan.ingress_ip,) if "ingress IP" in ways_in else (),
            internal_traffic_policy=internal,
            external_traffic_policy=external,
        ),
    )
    return {chain for chain in rules.service_chains() if not chain.startswith("KUBE-SEP-")}


@pytest.mark.parametrize(
    ("way_in", "external", "expected"),
    [
        ("cluster IP", _CLUSTER, {SVC}),
        ("node port", _CLUSTER, {SVC, EXT}),
        ("external IP", _CLUSTER, {SVC, EXT}),
        ("ingress IP", _CLUSTER, {SVC, FW}),
        ("node port", _LOCAL, {SVC, SVL, EXT}),
        ("external IP", _LOCAL, {SVC, SVL, EXT}),
        ("ingress IP", _LOCAL, {SVC, SVL, EXT, FW}),
    ],
)
def test_each_way_in_has_the_chains_it_leads_to(
    plan: AddressPlan, way_in: str, external: TrafficPolicy, expected: set[str]
) -> None:
    """With a local endpoint and internal policy Cluster."""
    ways_in = frozenset({way_in})
    assert _chains(plan, local(plan.local_pod), ways_in=ways_in, external=external) == expected


@pytest.mark.parametrize(
    ("ways_in", "external", "expected"),
    [
        (frozenset(), _CLUSTER, {SVL}),
        (frozenset({"node port"}), _CLUSTER, {SVC, SVL, EXT}),
        (frozenset({"node port"}), _LOCAL, {SVC, SVL, EXT}),
        (frozenset({"ingress IP"}), _CLUSTER, {SVC, SVL, FW}),
    ],
)
def test_internal_policy_local_needs_the_cluster_chain_for_outside_traffic_only(
    plan: AddressPlan, ways_in: frozenset[str], external: TrafficPolicy, expected: set[str]
) -> None:
    """The SVC chain exists if something from outside goes there."""
    found = _chains(
        plan, local(plan.local_pod), ways_in=ways_in, internal=_LOCAL, external=external
    )
    assert found == expected


def test_without_local_endpoints_there_is_no_local_chain(plan: AddressPlan) -> None:
    """An empty chain to jump to would hide that nobody serves."""
    ways_in = frozenset({"node port"})
    found = _chains(
        plan, remote(plan.remote_pod), ways_in=ways_in, internal=_LOCAL, external=_LOCAL
    )
    assert found == {SVC, EXT}


def test_a_closed_vip_alone_needs_no_policy_chain() -> None:
    """With strict ranges of the other family only, and internal traffic local, SVC is unused."""
    made = state(
        IPV4,
        local(IPV4.local_pod),
        ingress_ips=(IPV4.ingress_ip,),
        source_ranges=(other_family(IPV4).client_network,),
        internal_traffic_policy=_LOCAL,
    )
    rules = printed(IPV4, made, in_context=context(IPV4, strict_source_ranges=True))
    assert {chain for chain in rules.service_chains() if "SEP" not in chain} == {SVL, FW}


_WAYS_IN = [
    frozenset(chosen)
    for chosen in product(("", "node port"), ("", "external IP"), ("", "ingress IP"))
]


@pytest.mark.parametrize(
    "ways_in", _WAYS_IN, ids=lambda ways: "+".join(sorted(filter(None, ways))) or "-"
)
def test_every_combination_of_ways_in_policies_and_endpoints_is_closed(
    plan: AddressPlan, ways_in: frozenset[str]
) -> None:
    """No combination leaves a jump to nowhere, an orphan chain or a loop behind."""
    here, there = local(plan.local_pod), remote(plan.remote_pod)
    draining = local(plan.local_pod, ready=False, terminating=True)
    endpoint_sets = ((), (here,), (there,), (here, there), (draining,), (draining, there))
    for endpoints, internal, external in product(endpoint_sets, TrafficPolicy, TrafficPolicy):
        found = _chains(plan, *endpoints, ways_in=ways_in, internal=internal, external=external)
        assert (FW in found) is ("ingress IP" in ways_in and bool(endpoints))
