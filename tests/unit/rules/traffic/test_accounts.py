# SPDX-License-Identifier: Apache-2.0
"""What the rules of a Service count for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import pytest

from rules import names
from rules.build import build
from rules.ir import DROP, RETURN, Dnat, PortMatch, Rule, TableName
from rules.model import ServiceState, ServiceType, TrafficPolicy
from rules.traffic.accounts import Account, Accounts, Purpose, service_ports, tree_of
from rules.traffic.tally import tally, totals
from tests.address_plan import AddressPlan
from tests.builders import NODE_PORT, ServiceFields, context, local, remote, service_port, state
from tests.counting import counted_rules, many_addresses

_VERY_MANY = 200
"""Endpoints, so many that the layout of large clusters has groups of them."""

both_layouts = pytest.mark.parametrize("is_large", [False, True], ids=["classic", "large"])


def _counters(plan: AddressPlan, one: ServiceState, *, is_large: bool) -> Mapping[Purpose, int]:
    """How many counters a Service has for each purpose."""
    on_node = context(plan, is_large=is_large)
    tables = build({one.service.key: one}, on_node)
    accounts = Accounts(service_ports([one], on_node))
    found: Counter[Purpose] = Counter()
    for account, packets in totals(tally(counted_rules(tables, lambda _: 1), accounts)).items():
        found[account.purpose] += packets
    return found


def _load_balancer(plan: AddressPlan) -> ServiceFields:
    return ServiceFields(
        type=ServiceType.LOAD_BALANCER,
        ports=(service_port(node_port=NODE_PORT),),
        external_ips=(plan.external_ip,),
        ingress_ips=(plan.ingress_ip,),
    )


@both_layouts
def test_a_served_service_counts_connections_and_endpoints(
    plan: AddressPlan, *, is_large: bool
) -> None:
    """Each way to the choice of an endpoint has a counter, and each endpoint has one."""
    one = state(plan, local(plan.local_pod), remote(plan.remote_pod))
    assert _counters(plan, one, is_large=is_large) == {Purpose.SERVED: 1, Purpose.TRANSLATED: 2}

    one = state(plan, local(plan.local_pod), remote(plan.remote_pod), **_load_balancer(plan))
    assert _counters(plan, one, is_large=is_large) == {
        # By the cluster IP, by the ingress IP, by the external IP and the node port together.
        Purpose.SERVED: 3,
        Purpose.TRANSLATED: 2,
        Purpose.NO_LOCAL_ENDPOINTS: 1,
    }


@both_layouts
def test_an_unserved_service_counts_rejections(plan: AddressPlan, *, is_large: bool) -> None:
    """At each of its addresses and its node port."""
    one = state(plan, **_load_balancer(plan))

    assert _counters(plan, one, is_large=is_large) == {Purpose.REJECTED: 4}


@both_layouts
def test_source_ranges_count_what_they_drop(plan: AddressPlan, *, is_large: bool) -> None:
    """Unless nobody outside is served at all: then that is why packets are dropped."""
    fields = _load_balancer(plan)
    fields["source_ranges"] = (plan.client_network,)
    served = state(plan, local(plan.local_pod), **fields)
    assert _counters(plan, served, is_large=is_large)[Purpose.OUTSIDE_SOURCE_RANGES] == 1

    fields["external_traffic_policy"] = TrafficPolicy.LOCAL
    unserved = state(plan, remote(plan.remote_pod), **fields)
    counters = _counters(plan, unserved, is_large=is_large)
    assert Purpose.OUTSIDE_SOURCE_RANGES not in counters
    # The external IP, the ingress IP and the node port in filter, and the end of nat's KUBE-FW.
    assert counters[Purpose.NO_LOCAL_ENDPOINTS] == 4


def test_endpoints_in_groups_are_counted(plan: AddressPlan) -> None:
    """In a large cluster a service port of very many endpoints chooses among groups of them."""
    one = state(plan, *map(remote, many_addresses(plan.remote_pod, _VERY_MANY)))

    assert _counters(plan, one, is_large=True) == {
        Purpose.SERVED: 1,
        Purpose.TRANSLATED: _VERY_MANY,
    }


def test_rules_of_nobody_count_for_nobody(plan: AddressPlan) -> None:
    """A service port, an endpoint or an address that is not known, and rules of other kinds."""
    one = state(plan, local(plan.local_pod))
    accounts = Accounts(service_ports([one], context(plan)))
    unknown = "AAAAAAAAAAAAAAAA"
    vip, other = plan.host(plan.cluster_ip), plan.host(plan.other_cluster_ip)
    port = PortMatch("tcp", 80)

    for table, chain, rule in (
        (TableName.NAT, names.SERVICES, Rule(names.CLUSTER_POLICY_PREFIX + unknown)),
        (TableName.NAT, names.ENDPOINT_PREFIX + unknown, Rule(Dnat(plan.local_pod, 80))),
        (TableName.NAT, names.CLUSTER_POLICY_PREFIX + unknown, Rule(Dnat(plan.local_pod, 80))),
        (TableName.NAT, names.LOAD_BALANCER_PREFIX + unknown, Rule(names.MARK_DROP)),
        (TableName.NAT, names.SERVICES, Rule(RETURN)),
        (TableName.FILTER, names.SERVICES, Rule(DROP, (port,), destination=other)),
        (TableName.FILTER, names.SERVICES, Rule(DROP, destination=vip)),
        (TableName.FILTER, names.SERVICES, Rule(DROP, (PortMatch("udp", 80),), destination=vip)),
        (TableName.FILTER, names.FORWARD, Rule(DROP, (port,), destination=vip)),
    ):
        assert accounts.counter(table, chain, rule, "") is None, (chain, rule)


def test_what_takes_the_place_of_a_rule_has_its_slot(plan: AddressPlan) -> None:
    """The endpoint's own chain and its service port's, a chain of the tree and its root."""
    one = state(plan, remote(plan.remote_pod))
    on_node = context(plan)
    (port,) = service_ports([one], on_node)
    accounts = Accounts([port])
    endpoint = plan.endpoint(plan.remote_pod)
    own = names.endpoint_chain(port.plan.name, "tcp", endpoint)
    translate, lead = Rule(Dnat(plan.remote_pod, 80)), Rule(port.plan.cluster_chain)

    counters = [
        accounts.counter(TableName.NAT, chain, translate, "")
        for chain in (own, port.plan.cluster_chain)
    ]
    assert counters[0] == counters[1]
    assert counters[0] is not None
    assert counters[0].account == Account(port.hash, Purpose.TRANSLATED, endpoint)
    assert accounts.counter(TableName.NAT, "KUBE-SVC-IP-x", lead, "") == accounts.counter(
        TableName.NAT, names.SERVICES, lead, ""
    )


@pytest.mark.parametrize(
    ("chain", "root"),
    [
        ("KUBE-SVC-IP-10.96.0.0-24", names.SERVICES),
        ("KUBE-NOEX-10.96.0.0-24", names.EXTERNAL_SERVICES),
        (names.SERVICES, names.SERVICES),
        ("KUBE-SVC-A", "KUBE-SVC-A"),
    ],
)
def test_chains_of_trees_have_roots(chain: str, root: str) -> None:
    """All others are their own."""
    assert tree_of(chain) == root
