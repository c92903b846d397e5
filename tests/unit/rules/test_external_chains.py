# SPDX-License-Identifier: Apache-2.0
"""The KUBE-EXT and KUBE-FW chains, for both external policies."""

from __future__ import annotations

import pytest

from rules.context import DetectLocalMode
from rules.model import ServiceState, SliceEndpoint, TrafficPolicy
from tests.address_plan import AddressPlan, other_family
from tests.builders import (
    NODE_PORT,
    OptionFields,
    context,
    local,
    remote,
    service_port,
    state,
)
from tests.printed import EXT, FW, SVC, SVL, comment, printed

_LOCAL = TrafficPolicy.LOCAL
_LB = comment("default/web loadbalancer IP")
_FROM_NODE = "-m addrtype --src-type LOCAL"
_MASQUERADE_NODE = comment("masquerade LOCAL traffic for default/web external destinations")
_ROUTE_NODE = comment("route LOCAL traffic for default/web external destinations")
_SHORT_CIRCUIT_OF_NODE = [
    f"{_MASQUERADE_NODE} {_FROM_NODE} -j KUBE-MARK-MASQ",
    f"{_ROUTE_NODE} {_FROM_NODE} -j {SVC}",
]
_POD_TRAFFIC = comment("pod traffic for default/web external destinations")


def _node_port(plan: AddressPlan, *endpoints: SliceEndpoint, policy: TrafficPolicy) -> ServiceState:
    return state(
        plan,
        *endpoints,
        ports=(service_port(node_port=NODE_PORT),),
        external_traffic_policy=policy,
    )


def _load_balancer(
    plan: AddressPlan,
    pod: SliceEndpoint,
    *,
    source_ranges: tuple[str, ...] = (),
    policy: TrafficPolicy = TrafficPolicy.CLUSTER,
) -> ServiceState:
    return state(
        plan,
        pod,
        ingress_ips=(plan.ingress_ip,),
        source_ranges=source_ranges,
        external_traffic_policy=policy,
    )


def test_policy_cluster_masquerades_whatever_comes_from_outside(plan: AddressPlan) -> None:
    """The chosen endpoint may be on another node, so the reply must come back here."""
    rules = printed(plan, _node_port(plan, remote(plan.remote_pod), policy=TrafficPolicy.CLUSTER))
    assert rules.nat(EXT) == [
        f"{comment('masquerade traffic for default/web external destinations')} -j KUBE-MARK-MASQ",
        f"-j {SVC}",
    ]


def test_policy_local_short_circuits_pods_and_the_node_then_stays_local(plan: AddressPlan) -> None:
    """Clients keep their address; pods and the node itself reach all endpoints."""
    rules = printed(plan, _node_port(plan, local(plan.local_pod), policy=_LOCAL))
    assert rules.nat(EXT) == [
        f"-s {plan.cluster_cidr} {_POD_TRAFFIC} -j {SVC}",
        *_SHORT_CIRCUIT_OF_NODE,
        f"-j {SVL}",
    ]


def test_policy_local_without_local_endpoints_ends_after_the_short_circuit(
    plan: AddressPlan,
) -> None:
    """What comes from outside falls through, for the filter table to drop."""
    rules = printed(plan, _node_port(plan, remote(plan.remote_pod), policy=_LOCAL))
    assert rules.nat(EXT) == [
        f"-s {plan.cluster_cidr} {_POD_TRAFFIC} -j {SVC}",
        *_SHORT_CIRCUIT_OF_NODE,
    ]


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"detect_local_mode": DetectLocalMode.NODE_CIDR}, "-s {plan.node_cidr} "),
        (
            {
                "detect_local_mode": DetectLocalMode.BRIDGE_INTERFACE,
                "bridge_interface": "cni0",
            },
            "-i cni0 ",
        ),
        (
            {
                "detect_local_mode": DetectLocalMode.INTERFACE_NAME_PREFIX,
                "interface_name_prefix": "veth",
            },
            "-i veth+ ",
        ),
    ],
)
def test_the_short_circuit_of_pods_uses_the_local_detector(
    plan: AddressPlan, options: OptionFields, match: str
) -> None:
    """Every detector can be used in the positive sense."""
    rules = printed(
        plan,
        _node_port(plan, local(plan.local_pod), policy=_LOCAL),
        in_context=context(plan, **options),
    )
    assert rules.nat(EXT)[0] == f"{match.format(plan=plan)}{_POD_TRAFFIC} -j {SVC}"


def test_without_a_local_detector_only_the_node_takes_the_short_circuit(plan: AddressPlan) -> None:
    """Pods cannot be told from others, so they are treated like others."""
    rules = printed(
        plan,
        _node_port(plan, local(plan.local_pod), policy=_LOCAL),
        in_context=context(plan, cluster_cidrs=()),
    )
    assert rules.nat(EXT) == [*_SHORT_CIRCUIT_OF_NODE, f"-j {SVL}"]


def test_a_load_balancer_masquerades_and_goes_to_the_cluster_policy_chain(
    plan: AddressPlan,
) -> None:
    """As in the document; what no endpoint took is marked for dropping."""
    rules = printed(plan, _load_balancer(plan, remote(plan.remote_pod)))
    assert rules.nat(FW) == [
        f"{_LB} -j KUBE-MARK-MASQ",
        f"{_LB} -j {SVC}",
        f"{_LB} -j KUBE-MARK-DROP",
    ]
    assert EXT not in rules.service_chains()


def test_a_load_balancer_with_policy_local_goes_through_the_external_chain(
    plan: AddressPlan,
) -> None:
    """The short circuit and the local endpoints stand there; nothing is masqueraded before."""
    made = _load_balancer(plan, local(plan.local_pod), policy=_LOCAL)
    rules = printed(plan, made)
    assert rules.nat(FW) == [f"{_LB} -j {EXT}", f"{_LB} -j KUBE-MARK-DROP"]
    assert rules.nat(EXT)[-1] == f"-j {SVL}"


@pytest.mark.parametrize(
    ("policy", "chain"), [(TrafficPolicy.CLUSTER, SVC), (TrafficPolicy.LOCAL, EXT)]
)
def test_source_ranges_admit_their_networks_only(
    plan: AddressPlan, policy: TrafficPolicy, chain: str
) -> None:
    """Each range of the family has its jump, in the order given; others meet the drop mark."""
    made = _load_balancer(
        plan,
        local(plan.local_pod),
        source_ranges=(
            plan.client_network,
            other_family(plan).client_network,
            plan.host(plan.external_ip),
        ),
        policy=policy,
    )
    jumps = printed(plan, made).nat(FW)
    assert jumps[-3:] == [
        f"-s {plan.client_network} {_LB} -j {chain}",
        f"-s {plan.host(plan.external_ip)} {_LB} -j {chain}",
        f"{_LB} -j KUBE-MARK-DROP",
    ]


def test_a_range_with_the_node_in_it_admits_the_vips_too(plan: AddressPlan) -> None:
    """Packets from the node to its own VIP carry the VIP as their source."""
    made = state(
        plan,
        remote(plan.remote_pod),
        ingress_ips=(plan.ingress_ip, plan.other_ingress_ip),
        source_ranges=(plan.node_network,),
    )
    assert printed(plan, made).nat(FW) == [
        f"{_LB} -j KUBE-MARK-MASQ",
        f"-s {plan.node_network} {_LB} -j {SVC}",
        f"-s {plan.host(plan.ingress_ip)} {_LB} -j {SVC}",
        f"-s {plan.host(plan.other_ingress_ip)} {_LB} -j {SVC}",
        f"{_LB} -j KUBE-MARK-DROP",
    ]


def test_a_range_of_everything_is_no_restriction(plan: AddressPlan) -> None:
    """A range of /0 beside others opens the VIP to all of the family."""
    made = _load_balancer(
        plan,
        remote(plan.remote_pod),
        source_ranges=(plan.client_network, plan.everywhere),
    )
    assert printed(plan, made).nat(FW)[1:-1] == [f"{_LB} -j {SVC}"]


def test_ranges_of_the_other_family_only_leave_this_one_open(plan: AddressPlan) -> None:
    """As kube-proxy does; the agent warns about it."""
    made = _load_balancer(
        plan, remote(plan.remote_pod), source_ranges=(other_family(plan).everywhere,)
    )
    assert printed(plan, made).nat(FW)[1:-1] == [f"{_LB} -j {SVC}"]


@pytest.mark.parametrize("policy", TrafficPolicy)
def test_strict_ranges_of_the_other_family_only_close_this_one(
    plan: AddressPlan, policy: TrafficPolicy
) -> None:
    """The chain is then its drop mark, and nothing is built that only it would lead to."""
    made = _load_balancer(
        plan,
        local(plan.local_pod),
        source_ranges=(other_family(plan).client_network,),
        policy=policy,
    )
    rules = printed(plan, made, in_context=context(plan, strict_source_ranges=True))
    assert rules.nat(FW) == [f"{_LB} -j KUBE-MARK-DROP"]
    assert not {EXT, SVL} & rules.service_chains()
