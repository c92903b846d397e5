# SPDX-License-Identifier: Apache-2.0
"""By which policy a packet is refused."""

from __future__ import annotations

import pytest

from rules.ir import DROP, Reject, Rule
from rules.model import ServiceState, ServiceType, SliceEndpoint, TrafficPolicy
from rules.trace.refusal import Policy, Refusal
from rules.trace.tracer import Fate
from tests.address_plan import IPV4, AddressPlan
from tests.builders import NODE_PORT, WEB, context, local, remote, service_port, state
from tests.unit.rules.trace.support import PacketFields, follow, rule_set, trace_services

_LOCAL = TrafficPolicy.LOCAL


def _everywhere(
    plan: AddressPlan,
    *endpoints: SliceEndpoint,
    ranges: tuple[str, ...] = (),
    policy: TrafficPolicy = TrafficPolicy.CLUSTER,
) -> ServiceState:
    """A load balancer whose policies are ``policy``."""
    return state(
        plan,
        *endpoints,
        type=ServiceType.LOAD_BALANCER,
        ports=(service_port(node_port=NODE_PORT),),
        external_ips=(plan.external_ip,),
        ingress_ips=(plan.ingress_ip,),
        source_ranges=ranges,
        internal_traffic_policy=policy,
        external_traffic_policy=policy,
    )


def _targets(plan: AddressPlan) -> list[PacketFields]:
    return [
        {"destination": plan.cluster_ip},
        {"destination": plan.external_ip},
        {"destination": plan.ingress_ip},
        {"destination": plan.node_ip, "destination_port": NODE_PORT},
    ]


def test_a_service_without_endpoints_says_so(plan: AddressPlan) -> None:
    """Whichever way it is addressed, from outside or from this node, the packet is rejected."""
    service = _everywhere(plan, local(plan.local_pod, ready=False))
    for target in _targets(plan):
        (path,) = trace_services(plan, context(plan), service, **target).paths

        assert path.outcome.fate is Fate.REJECTED
        assert path.outcome.refusal == Refusal(Policy.NO_ENDPOINTS, "default/web")


def test_a_service_without_local_endpoints_says_so(plan: AddressPlan) -> None:
    """Under policy Local the packet is dropped if only other nodes could serve it."""
    service = _everywhere(plan, remote(plan.remote_pod), policy=_LOCAL)
    for target in _targets(plan):
        (path,) = trace_services(plan, context(plan), service, **target).paths

        assert path.outcome.fate is Fate.DROPPED
        assert path.outcome.refusal == Refusal(Policy.NO_LOCAL_ENDPOINTS, "default/web")


@pytest.mark.parametrize("policy", TrafficPolicy)
def test_source_ranges_are_told_from_a_lack_of_endpoints(
    plan: AddressPlan, policy: TrafficPolicy
) -> None:
    """A source outside of the ranges of an ingress IP is dropped for just that."""
    service = _everywhere(plan, local(plan.local_pod), ranges=(plan.node_network,), policy=policy)
    trace = trace_services(plan, context(plan), service, destination=plan.ingress_ip)

    (path,) = trace.paths
    assert path.outcome.fate is Fate.DROPPED
    assert path.outcome.refusal == Refusal(Policy.SOURCE_RANGES, "default/web")
    assert trace.absences == ()


def test_a_guarded_loopback_is_told() -> None:
    """What comes from the network to 127.0.0.0/8 meets kubelet's rule."""
    rules = rule_set(filters={"INPUT": (Rule("KUBE-FIREWALL"),), "KUBE-FIREWALL": (Rule(DROP),)})
    (path,) = follow(rules, destination="127.0.0.1")

    assert path.outcome.refusal == Refusal(Policy.LOOPBACK_GUARD, "filter KUBE-FIREWALL")


@pytest.mark.parametrize(
    ("rules", "policy", "refusal"),
    [
        ((Rule(Reject()),), "ACCEPT", Refusal(Policy.OTHER_RULE, "filter FORWARD")),
        ((), "DROP", Refusal(Policy.CHAIN_POLICY, "filter FORWARD")),
    ],
)
def test_other_refusals_name_the_chain(
    rules: tuple[Rule, ...], policy: str, refusal: Refusal
) -> None:
    """Rules that are not about Services, and policies of built-in chains."""
    (path,) = follow(rule_set(filters={"FORWARD": rules}, policies={"FORWARD": policy}))

    assert path.outcome.refusal == refusal


def test_a_refusal_in_the_tree_of_a_large_cluster_is_told() -> None:
    """Where the refusing rule stands in a chain of a range of VIPs, its words still count."""
    many = [
        state(IPV4, key=WEB._replace(name=f"web-{number}"), cluster_ips=(f"10.96.0.{number}",))
        for number in range(1, 40)
    ]
    on_node = context(IPV4, is_large=True)
    (path,) = trace_services(IPV4, on_node, *many, destination="10.96.0.7").paths

    assert path.steps[-1].chain.startswith("KUBE-NOEP-")
    assert path.outcome.refusal == Refusal(Policy.NO_ENDPOINTS, "default/web-7")
