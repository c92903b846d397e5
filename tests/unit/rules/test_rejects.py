# SPDX-License-Identifier: Apache-2.0
"""What the filter table refuses, and the health checks it accepts."""

from __future__ import annotations

import pytest

from rules.ir import Family
from rules.model import ServiceState, SliceEndpoint, TrafficPolicy
from tests.address_plan import AddressPlan
from tests.builders import NODE_PORT, local, remote, service_port, state
from tests.printed import comment, printed

_CLUSTER, _LOCAL = TrafficPolicy.CLUSTER, TrafficPolicy.LOCAL
_NO_ENDPOINTS = comment("default/web has no endpoints")
_NO_LOCAL_ENDPOINTS = comment("default/web has no local endpoints")
_REJECT = {
    Family.IPV4: "-j REJECT --reject-with icmp-port-unreachable",
    Family.IPV6: "-j REJECT --reject-with icmp6-port-unreachable",
}


def _everywhere(
    plan: AddressPlan,
    *endpoints: SliceEndpoint,
    internal: TrafficPolicy = _CLUSTER,
    external: TrafficPolicy = _CLUSTER,
) -> ServiceState:
    """A Service with an address of each kind."""
    return state(
        plan,
        *endpoints,
        ports=(service_port(node_port=NODE_PORT),),
        external_ips=(plan.external_ip,),
        ingress_ips=(plan.ingress_ip,),
        internal_traffic_policy=internal,
        external_traffic_policy=external,
    )


def _external_refusals(plan: AddressPlan, words: str, target: str) -> list[str]:
    return [
        *(
            f"-d {plan.host(address)} -p tcp {words} -m tcp --dport 80 {target}"
            for address in (plan.external_ip, plan.ingress_ip)
        ),
        f"-p tcp {words} -m addrtype --dst-type LOCAL -m tcp --dport {NODE_PORT} {target}",
    ]


def test_without_endpoints_every_address_is_rejected(plan: AddressPlan) -> None:
    """Clients learn at once that nobody serves, with the family's unreachable message."""
    rules = printed(plan, _everywhere(plan))
    target = _REJECT[plan.family]
    assert rules.filter("KUBE-SERVICES") == [
        f"-d {plan.host(plan.cluster_ip)} -p tcp {_NO_ENDPOINTS} -m tcp --dport 80 {target}"
    ]
    assert rules.filter("KUBE-EXTERNAL-SERVICES") == _external_refusals(plan, _NO_ENDPOINTS, target)


@pytest.mark.parametrize("policy", TrafficPolicy)
def test_a_service_that_is_served_is_not_refused(plan: AddressPlan, policy: TrafficPolicy) -> None:
    """A local endpoint serves under either policy."""
    rules = printed(
        plan, _everywhere(plan, local(plan.local_pod), internal=policy, external=policy)
    )
    assert rules.filter("KUBE-SERVICES") == []
    assert rules.filter("KUBE-EXTERNAL-SERVICES") == []


def test_internal_policy_local_drops_when_only_other_nodes_have_endpoints(
    plan: AddressPlan,
) -> None:
    """The cluster IP is dropped, the addresses for outside are served."""
    rules = printed(plan, _everywhere(plan, remote(plan.remote_pod), internal=_LOCAL))
    assert rules.filter("KUBE-SERVICES") == [
        f"-d {plan.host(plan.cluster_ip)} -p tcp {_NO_LOCAL_ENDPOINTS} -m tcp --dport 80 -j DROP"
    ]
    assert rules.filter("KUBE-EXTERNAL-SERVICES") == []


def test_external_policy_local_drops_when_only_other_nodes_have_endpoints(
    plan: AddressPlan,
) -> None:
    """All addresses for outside are dropped, the cluster IP is served."""
    rules = printed(plan, _everywhere(plan, remote(plan.remote_pod), external=_LOCAL))
    assert rules.filter("KUBE-SERVICES") == []
    assert rules.filter("KUBE-EXTERNAL-SERVICES") == _external_refusals(
        plan, _NO_LOCAL_ENDPOINTS, "-j DROP"
    )


def test_an_internal_service_with_policy_local_is_dropped_rather_than_rejected(
    plan: AddressPlan,
) -> None:
    """Endpoints on other nodes count as existing even when no way from outside needs them."""
    made = state(plan, remote(plan.remote_pod), internal_traffic_policy=_LOCAL)
    assert printed(plan, made).filter("KUBE-SERVICES")[0].endswith("-j DROP")


def test_local_policies_reject_when_no_node_has_endpoints(plan: AddressPlan) -> None:
    """An endpoint that is neither ready nor serving does not exist for anybody."""
    gone = remote(plan.remote_pod, ready=False, serving=False, terminating=True)
    rules = printed(plan, _everywhere(plan, gone, internal=_LOCAL, external=_LOCAL))
    for chain in ("KUBE-SERVICES", "KUBE-EXTERNAL-SERVICES"):
        assert all(rule.endswith(_REJECT[plan.family]) for rule in rules.filter(chain))
        assert rules.filter(chain)


@pytest.mark.parametrize("has_endpoints", [True, False])
def test_the_health_check_port_is_accepted_with_or_without_endpoints(
    plan: AddressPlan, *, has_endpoints: bool
) -> None:
    """The load balancer must be able to learn that this node has no endpoint."""
    pods = (local(plan.local_pod),) if has_endpoints else ()
    made = state(
        plan,
        *pods,
        ingress_ips=(plan.ingress_ip,),
        external_traffic_policy=_LOCAL,
        health_check_node_port=32000,
    )
    assert printed(plan, made).filter("KUBE-NODEPORTS") == [
        f"-p tcp {comment('default/web health check node port')} -m tcp --dport 32000 -j ACCEPT"
    ]


def test_health_checks_are_tcp_whatever_the_service_is(plan: AddressPlan) -> None:
    """They are HTTP, also for a service of udp ports."""
    made = state(plan, ports=(service_port(53, protocol="udp"),), health_check_node_port=32000)
    assert printed(plan, made).filter("KUBE-NODEPORTS") == [
        f"-p tcp {comment('default/web health check node port')} -m tcp --dport 32000 -j ACCEPT"
    ]


def test_without_a_health_check_port_nothing_is_accepted(plan: AddressPlan) -> None:
    """A node port alone does not open the filter table."""
    assert printed(plan, _everywhere(plan, local(plan.local_pod))).filter("KUBE-NODEPORTS") == []
