# SPDX-License-Identifier: Apache-2.0
"""Laws of the built rules that hold for every cluster and all options."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from rules import names
from rules.build import build
from rules.check import check_tables
from rules.context import FamilyContext
from rules.ir import Dnat, TableName, is_jump
from rules.text import save_tables
from tests.property.strategies import Cluster, clusters, contexts


@given(clusters(), contexts())
def test_rules_keep_all_invariants(cluster: Cluster, on_node: FamilyContext) -> None:
    """No cluster, however odd, gives rules that break an invariant."""
    check_tables(build(cluster.states(), on_node))


@given(clusters(), contexts(), st.randoms(use_true_random=False))
def test_the_order_of_learning_does_not_show(
    cluster: Cluster, on_node: FamilyContext, shuffled: random.Random
) -> None:
    """Services and slices in any order give the same bytes."""
    some_services, some_slices = list(cluster.services.items()), list(cluster.slices.items())
    shuffled.shuffle(some_services)
    shuffled.shuffle(some_slices)
    permuted = Cluster(dict(some_services), dict(some_slices))
    assert save_tables(build(permuted.states(), on_node), on_node.family) == save_tables(
        build(cluster.states(), on_node), on_node.family
    )


@given(clusters(), contexts())
def test_a_service_port_translates_to_its_own_endpoints_only(
    cluster: Cluster, on_node: FamilyContext
) -> None:
    """Every address that a Service's chains translate to stands in one of its slices."""
    for key, state in cluster.states().items():
        known = {
            (endpoint.address, port.port)
            for one in state.slices
            for port in one.ports
            for endpoint in one.endpoints
        }
        chains = build({key: state}, on_node)[TableName.NAT].chains
        targets = [rule.target for rules in chains.values() for rule in rules]
        translated = {
            (target.address, target.port) for target in targets if isinstance(target, Dnat)
        }
        assert translated <= known


@given(clusters(), contexts())
def test_services_do_not_touch_each_other(cluster: Cluster, on_node: FamilyContext) -> None:
    """The chains of all Services are those of each alone, taken together."""
    states = cluster.states()
    together = build(states, on_node)[TableName.NAT].chains
    alone = [build({key: state}, on_node)[TableName.NAT].chains for key, state in states.items()]
    for chains in alone:
        for name, rules in chains.items():
            if names.is_service_chain(name):
                assert together[name] == rules


@given(clusters(), contexts())
def test_a_served_vip_is_not_refused(cluster: Cluster, on_node: FamilyContext) -> None:
    """A cluster IP of one Service is either translated in nat or refused in filter, never both."""
    for key, state in cluster.states().items():
        tables = build({key: state}, on_node)
        cluster_ip_jumps = {
            (rule.destination, rule.matches)
            for rule in tables[TableName.NAT].chains[names.SERVICES]
            if is_jump(rule.target)
            and str(rule.target).startswith(
                (names.CLUSTER_POLICY_PREFIX, names.LOCAL_POLICY_PREFIX)
            )
        }
        refusals = tables[TableName.FILTER].chains[names.SERVICES]
        served = {(place, matches[-1]) for place, matches in cluster_ip_jumps}
        refused = {(rule.destination, rule.matches[-1]) for rule in refusals}
        assert not served & refused
        proxied_ports = len(state.service.ports) if state.service.is_proxied else 0
        ips = [ip for ip in state.service.cluster_ips if (":" in ip) == _is_ipv6(on_node)]
        assert len(served | refused) == proxied_ports * len(ips)


def _is_ipv6(on_node: FamilyContext) -> bool:
    return on_node.family.value == "ipv6"
