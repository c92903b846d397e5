# SPDX-License-Identifier: Apache-2.0
"""How packets find a service port: KUBE-SERVICES and KUBE-NODEPORTS of nat."""

from __future__ import annotations

import pytest

from rules.model import ObjectKey, TrafficPolicy
from tests.address_plan import AddressPlan, other_family
from tests.builders import NODE_PORT, local, remote, service_port, state
from tests.printed import EXT, FW, SVC, SVL, comment, printed

_LOCAL = TrafficPolicy.LOCAL


def _to_vip(plan: AddressPlan, vip: str, kind: str, chain: str) -> str:
    words = comment(f"default/web {kind}")
    return f"-d {plan.host(vip)} -p tcp {words} -m tcp --dport 80 -j {chain}"


def test_a_cluster_ip_leads_to_the_cluster_policy_chain(plan: AddressPlan) -> None:
    """One rule matches address, protocol and port."""
    rules = printed(plan, state(plan, remote(plan.remote_pod)))
    assert rules.nat("KUBE-SERVICES")[:-1] == [_to_vip(plan, plan.cluster_ip, "cluster IP", SVC)]


def test_a_cluster_ip_leads_to_the_local_policy_chain_if_internal_traffic_stays_local(
    plan: AddressPlan,
) -> None:
    """The policy Local for internal traffic picks the SVL chain."""
    rules = printed(plan, state(plan, local(plan.local_pod), internal_traffic_policy=_LOCAL))
    assert rules.nat("KUBE-SERVICES")[:-1] == [_to_vip(plan, plan.cluster_ip, "cluster IP", SVL)]


def test_external_and_ingress_ips_have_their_own_ways(plan: AddressPlan) -> None:
    """Each external IP leads to the EXT chain, each ingress IP to the FW chain."""
    rules = printed(
        plan,
        state(
            plan,
            remote(plan.remote_pod),
            external_ips=(plan.external_ip,),
            ingress_ips=(plan.ingress_ip, plan.other_ingress_ip),
        ),
    )
    assert rules.nat("KUBE-SERVICES")[:-1] == [
        _to_vip(plan, plan.cluster_ip, "cluster IP", SVC),
        _to_vip(plan, plan.external_ip, "external IP", EXT),
        _to_vip(plan, plan.ingress_ip, "loadbalancer IP", FW),
        _to_vip(plan, plan.other_ingress_ip, "loadbalancer IP", FW),
    ]


def test_addresses_of_the_other_family_are_left_to_it(plan: AddressPlan) -> None:
    """A dual-stack Service has rules for one family's addresses in that family's tables."""
    other = other_family(plan)
    both = state(
        plan,
        remote(plan.remote_pod),
        cluster_ips=(other.cluster_ip, plan.cluster_ip),
        external_ips=(other.external_ip,),
        ingress_ips=(other.ingress_ip,),
    )
    rules = printed(plan, both)
    assert rules.nat("KUBE-SERVICES")[:-1] == [_to_vip(plan, plan.cluster_ip, "cluster IP", SVC)]


@pytest.mark.parametrize("protocol", ["tcp", "udp", "sctp"])
def test_the_protocol_is_matched_before_the_comment_and_the_port_after(
    plan: AddressPlan, protocol: str
) -> None:
    """The order is that of kube-proxy's rules, for every protocol."""
    ports = (service_port(53, name="dns", protocol=protocol),)
    rule = printed(
        plan, state(plan, remote(plan.remote_pod), ports=ports, internal_traffic_policy=_LOCAL)
    )
    words = comment("default/web:dns has no endpoints")
    assert rule.filter("KUBE-SERVICES")[0].startswith(
        f"-d {plan.host(plan.cluster_ip)} -p {protocol} {words} -m {protocol} --dport 53 -j REJECT"
    )


def test_a_node_port_leads_to_the_external_chain(plan: AddressPlan) -> None:
    """Its comment is the service port name alone."""
    ports = (service_port(node_port=NODE_PORT),)
    rules = printed(plan, state(plan, remote(plan.remote_pod), ports=ports))
    assert rules.nat("KUBE-NODEPORTS") == [
        f"-p tcp {comment('default/web')} -m tcp --dport {NODE_PORT} -j {EXT}"
    ]


def test_without_any_endpoint_nothing_leads_to_a_service_port(plan: AddressPlan) -> None:
    """Such a service port has no chain in nat and no rule there."""
    rules = printed(
        plan,
        state(
            plan,
            ports=(service_port(node_port=NODE_PORT),),
            external_ips=(plan.external_ip,),
            ingress_ips=(plan.ingress_ip,),
        ),
    )
    assert len(rules.nat("KUBE-SERVICES")) == 1
    assert rules.nat("KUBE-NODEPORTS") == []
    assert rules.service_chains() == set()


def test_with_endpoints_only_elsewhere_a_local_cluster_ip_has_no_way_in(plan: AddressPlan) -> None:
    """Internal policy Local takes the cluster IP away, but not the external ones."""
    rules = printed(
        plan,
        state(
            plan,
            remote(plan.remote_pod),
            external_ips=(plan.external_ip,),
            internal_traffic_policy=_LOCAL,
        ),
    )
    assert rules.nat("KUBE-SERVICES")[:-1] == [_to_vip(plan, plan.external_ip, "external IP", EXT)]


def test_external_ways_stay_open_for_a_local_policy_without_local_endpoints(
    plan: AddressPlan,
) -> None:
    """Pods and the node itself still reach endpoints elsewhere through external addresses."""
    rules = printed(
        plan,
        state(
            plan,
            remote(plan.remote_pod),
            ports=(service_port(node_port=NODE_PORT),),
            external_ips=(plan.external_ip,),
            ingress_ips=(plan.ingress_ip,),
            external_traffic_policy=_LOCAL,
        ),
    )
    assert rules.nat("KUBE-SERVICES")[1:-1] == [
        _to_vip(plan, plan.external_ip, "external IP", EXT),
        _to_vip(plan, plan.ingress_ip, "loadbalancer IP", FW),
    ]
    assert len(rules.nat("KUBE-NODEPORTS")) == 1


def test_services_stand_in_the_order_of_their_names(plan: AddressPlan) -> None:
    """Namespaces first, then names, whatever the order in which they were learned."""
    states = [
        state(plan, remote(plan.remote_pod), key=ObjectKey(namespace, name))
        for namespace, name in (("b", "a"), ("a", "z"), ("a", "b"))
    ]
    comments = [rule.split('"')[1] for rule in printed(plan, *states).nat("KUBE-SERVICES")[:-1]]
    assert comments == ["a/b cluster IP", "a/z cluster IP", "b/a cluster IP"]
