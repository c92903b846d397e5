# SPDX-License-Identifier: Apache-2.0
"""What the tracer says of a packet, and what the kernel does with it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from lab import NodeLab, Protocol, Target, node_lab
from lab.plan import CLIENT, OTHER_CLIENT
from rules.context import DetectLocalMode
from rules.model import (
    ServicePort,
    ServiceState,
    ServiceType,
    SliceEndpoint,
    SlicePort,
    TrafficPolicy,
)
from rules.trace.errors import UnknownRuleError
from rules.trace.tracer import Fate
from tests.address_plan import IPV4, OTHER_NODE, THIS_NODE, AddressPlan
from tests.builders import OptionFields, endpoint_slice, local, remote, state
from tests.kernel.node import KernelNode, in_both_layouts
from tests.kernel.tracing import (
    OWNER,
    Sender,
    disagreement,
    live_paths,
    serve_everything,
)
from tests.kernel.traffic import LOCAL_PODS, REMOTE_PODS, of, tcp, udp
from tests.property.strategies import endpoints, services

_IN_CLIENT_NETWORK = "192.168.7.10"
_PROTOCOLS = {"tcp": Protocol.TCP, "udp": Protocol.UDP}
_DETECT_LOCAL_MODES = [
    DetectLocalMode.CLUSTER_CIDR,
    DetectLocalMode.NODE_CIDR,
    DetectLocalMode.INTERFACE_NAME_PREFIX,
]
"""Without any, a remote pod would answer a client directly, who has not asked it."""


@pytest.fixture(scope="module")
def machines() -> Iterator[NodeLab]:
    """Two nodes, and all addresses of a plan with somebody who answers there."""
    with node_lab((*LOCAL_PODS, OWNER), remote_pods=REMOTE_PODS) as machines:
        machines.node.set_sysctl("net.ipv4.icmp_ratelimit", "0")
        machines.node.set_sysctl("net.ipv6.icmp.ratelimit", "0")
        machines.client.ip(f"address add {_IN_CLIENT_NETWORK}/32 dev lo")
        serve_everything(machines)
        yield machines


def _senders(machines: NodeLab, plan: AddressPlan) -> list[Sender]:
    """A client at several addresses, the pods of the node, and the node."""
    addresses = [of(plan, CLIENT), of(plan, OTHER_CLIENT)]
    if plan is IPV4:
        addresses.append(_IN_CLIENT_NETWORK)
    return [
        *(Sender(machines.client, address, "eth0") for address in addresses),
        *(
            Sender(machines.pods[pod.name], of(plan, pod.address), f"veth-{pod.name}")
            for pod in LOCAL_PODS
        ),
        Sender(machines.node, plan.node_ip, None),
    ]


def _targets(plan: AddressPlan, states: list[ServiceState]) -> list[Target]:
    """What Services may be addressed by, and an address that may be nobody's."""
    found = [tcp(plan.external_ip)]
    for service, _ in states:
        addresses = (*service.cluster_ips, *service.external_ips, *service.ingress_ips)
        for port in service.ports:
            protocol = _PROTOCOLS[port.protocol]
            found += [Target(address, port.port, protocol) for address in addresses]
            if port.node_port:
                found.append(Target(plan.node_ip, port.node_port, protocol))
    return found


@st.composite
def _states(draw: DrawFn, plan: AddressPlan) -> list[ServiceState]:
    """Services that have addresses of one family only, and endpoints where they really are."""
    vips = st.sampled_from([plan.external_ip, plan.ingress_ip, plan.other_ingress_ip])
    some_vips = st.lists(vips, max_size=2, unique=True).map(tuple)
    one_in_four_without = st.one_of(*[endpoints(plan)] * 3, st.just(()))
    found = []
    for drawn in draw(st.lists(services(), min_size=1, max_size=3, unique_by=lambda one: one.key)):
        service = replace(
            drawn,
            type=ServiceType.LOAD_BALANCER,
            ports=tuple(map(_probed, drawn.ports)),
            proxy_name="",
            cluster_ips=(draw(st.sampled_from([plan.cluster_ip, plan.other_cluster_ip])),),
            external_ips=draw(some_vips),
            ingress_ips=draw(some_vips),
            source_ranges=draw(st.sampled_from([(), drawn.source_ranges])),
            affinity_seconds=draw(st.sampled_from([None, None, drawn.affinity_seconds])),
        )
        pods = (_where_it_is(plan, one) for one in draw(one_in_four_without))
        ports = tuple(
            SlicePort(port.name, draw(st.sampled_from([80, 8080]))) for port in service.ports
        )
        one_slice = endpoint_slice(plan, *pods, owner=service.key, ports=ports)
        found.append(ServiceState(service, (one_slice,)))
    return found


def _probed(port: ServicePort) -> ServicePort:
    """The port with a protocol that the machines of a lab speak."""
    return port if port.protocol in _PROTOCOLS else port._replace(protocol="udp")


def _where_it_is(plan: AddressPlan, endpoint: SliceEndpoint) -> SliceEndpoint:
    is_here = endpoint.address in (plan.local_pod, plan.other_local_pod)
    return endpoint._replace(node_name=THIS_NODE if is_here else OTHER_NODE)


_FOREIGN = {
    "filter": (
        "-A FORWARD -s {client} -j DROP",
        "-I FORWARD -p udp -m udp --dport 80:90 -j REJECT",
        "-I FORWARD -j FOREIGN",
        "-A FOREIGN -d {pod} -j RETURN",
        "-A FOREIGN -m mark --mark 0x4000/0x4000 -j ACCEPT",
        "-A FOREIGN -i eth0 -p tcp -m tcp --dport 8080 -j DROP",
        "-A FOREIGN -m limit --limit 1/second -j LOG",
        "-A INPUT -p tcp -m tcp --dport 30000:32767 -j DROP",
        "-I OUTPUT -p udp -m udp --dport 8080 -j DROP",
        "-P FORWARD DROP",
    ),
    "nat": (
        "-I POSTROUTING -s {client} -j MASQUERADE",
        "-I PREROUTING ! -i eth0 -p tcp -m tcp --dport 81 -j ACCEPT",
        "-I PREROUTING -d {vip} -p udp -j DNAT --to-destination {owned}",
    ),
}
"""What others may have in their tables, by table; none of it hinders an answer on its way back."""


@st.composite
def _foreign_text(draw: DrawFn, plan: AddressPlan) -> str:
    """Some rules of others, as input for iptables-restore."""
    lines = []
    for table, rules in _FOREIGN.items():
        chosen = draw(st.lists(st.sampled_from(rules), max_size=4, unique=True))
        lines += [f"*{table}", ":FOREIGN - [0:0]"]
        lines += sorted(chosen, key=rules.index)
        lines.append("COMMIT")
    text = "\n".join([*lines, ""]).replace("-P FORWARD DROP", ":FORWARD DROP [0:0]")
    return text.format(
        client=of(plan, OTHER_CLIENT),
        pod=plan.local_pod,
        vip=plan.other_ingress_ip,
        owned=plan.endpoint(plan.external_ip),
    )


_OPTIONS: SearchStrategy[OptionFields] = st.builds(
    OptionFields,
    masquerade_all=st.booleans(),
    masquerade_bit=st.sampled_from([14, 0]),
    detect_local_mode=st.sampled_from(_DETECT_LOCAL_MODES),
    interface_name_prefix=st.just("veth"),
    strict_source_ranges=st.booleans(),
    localhost_node_ports=st.booleans(),
)


@in_both_layouts
@settings(
    max_examples=20,
    # Without shrinking: each step would wait for packets that do not come.
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_trace_and_kernel_agree(
    node: KernelNode, machines: NodeLab, plan: AddressPlan, data: st.DataObject
) -> None:
    """For any Services, rules of others, and packets, what happens is a traced outcome."""
    node.wipe()
    node.restart_agent()
    node.restore(plan, data.draw(_foreign_text(plan)))
    states = data.draw(_states(plan))
    node.program(plan, *states, **data.draw(_OPTIONS))
    senders = st.sampled_from(_senders(machines, plan))
    targets = st.sampled_from(_targets(plan, states))
    for sender, target in data.draw(st.lists(st.tuples(senders, targets), min_size=1, max_size=4)):
        paths = live_paths(node.host, plan, sender, target)
        assert disagreement(paths, plan, sender, target) == ""


def _load_balancer(plan: AddressPlan, *pods: SliceEndpoint, policy: TrafficPolicy) -> ServiceState:
    return state(
        plan,
        *pods,
        type=ServiceType.LOAD_BALANCER,
        ingress_ips=(plan.ingress_ip,),
        source_ranges=(plan.node_network, plan.host(of(plan, CLIENT))),
        external_traffic_policy=policy,
    )


def _outcomes(
    node: KernelNode, machines: NodeLab, plan: AddressPlan, sender: int
) -> set[tuple[Fate, str]]:
    """What is traced, and seen, of packets to the ingress IP: fates, and why if refused."""
    chosen, target = _senders(machines, plan)[sender], tcp(plan.ingress_ip)
    paths = live_paths(node.host, plan, chosen, target)
    assert disagreement(paths, plan, chosen, target) == ""
    found = ((path.outcome.fate, path.outcome.refusal) for path in paths)
    return {(fate, refusal.policy.value if refusal else "") for fate, refusal in found}


@in_both_layouts
def test_each_kind_of_outcome_is_seen(
    node: KernelNode, machines: NodeLab, plan: AddressPlan
) -> None:
    """Served, outside of the source ranges, without local endpoints, without any endpoint."""
    client, other_client = 0, 1
    cluster, local_only = TrafficPolicy.CLUSTER, TrafficPolicy.LOCAL
    here, away = local(plan.local_pod), remote(plan.remote_pod)

    node.program(plan, _load_balancer(plan, here, away, policy=cluster))
    assert _outcomes(node, machines, plan, client) == {(Fate.SENT, "")}
    assert _outcomes(node, machines, plan, other_client) == {(Fate.DROPPED, "sourceRanges")}

    node.program(plan, _load_balancer(plan, away, policy=local_only))
    assert _outcomes(node, machines, plan, client) == {(Fate.DROPPED, "noLocalEndpoints")}

    node.program(plan, _load_balancer(plan, policy=cluster))
    assert _outcomes(node, machines, plan, client) == {(Fate.REJECTED, "noEndpoints")}


def test_a_rule_that_is_not_understood_stops_who_comes_to_it(
    node: KernelNode, machines: NodeLab, plan: AddressPlan
) -> None:
    """A foreign rule of an unknown kind is no matter to packets that cannot meet it."""
    node.program(plan, state(plan, local(plan.local_pod)))
    rule = "-I FORWARD -p udp -m multiport --dports 80,81 -j DROP"
    node.iptables(plan, *rule.split())
    client = _senders(machines, plan)[0]

    assert live_paths(node.host, plan, client, tcp(plan.cluster_ip))
    with pytest.raises(UnknownRuleError, match=r"rule 1 of chain FORWARD in filter.*multiport"):
        live_paths(node.host, plan, client, udp(plan.external_ip))


@pytest.mark.parametrize(
    ("foreign", "port", "fate"),
    [
        ((), 29999, Fate.DELIVERED),
        (("-A FORWARD -p tcp -j DROP",), 29999, Fate.DELIVERED),
        (("-A INPUT -p tcp -m tcp --dport 30000:32767 -j DROP",), 29999, Fate.DELIVERED),
        (("-A INPUT -p tcp -m tcp --dport 30000:32767 -j DROP",), 30000, Fate.DROPPED),
        (("-A INPUT -p tcp -m tcp --dport 30000:32767 -j DROP",), 32767, Fate.DROPPED),
        (("-A INPUT -p tcp -j REJECT --reject-with tcp-reset",), 29999, Fate.REJECTED),
    ],
)
def test_rules_of_others_for_the_node_are_followed(
    node: KernelNode,
    machines: NodeLab,
    plan: AddressPlan,
    foreign: tuple[str, ...],
    port: int,
    fate: Fate,
) -> None:
    """What a packet to the node itself meets is INPUT, whose rules count to the last port."""
    for rule in foreign:
        node.iptables(plan, *rule.split())
    client, target = _senders(machines, plan)[0], tcp(plan.node_ip, port)

    (path,) = live_paths(node.host, plan, client, target)

    assert path.outcome.fate is fate
    assert disagreement([path], plan, client, target) == ""


@pytest.mark.parametrize(
    ("foreign", "port", "fate"),
    [
        ("-A INPUT -p udp -j DROP", 80, Fate.SENT),
        ("-A FORWARD -p udp -m udp --dport 81:90 -j REJECT", 80, Fate.SENT),
        ("-A FORWARD -p udp -m udp --dport 81:90 -j REJECT", 81, Fate.REJECTED),
        ("-A FORWARD ! -i eth0 -p udp -m udp --dport 80 -j DROP", 80, Fate.SENT),
        ("-A FORWARD -i eth+ -p udp -m udp --dport 80 -j DROP", 80, Fate.DROPPED),
        ("-P FORWARD DROP", 80, Fate.DROPPED),
        ("-t nat -A POSTROUTING -p udp -j MASQUERADE", 80, Fate.SENT),
    ],
)
def test_rules_of_others_on_the_way_are_followed(
    node: KernelNode, machines: NodeLab, plan: AddressPlan, foreign: str, port: int, fate: Fate
) -> None:
    """What a packet to a pod meets is FORWARD, then its policy, then POSTROUTING."""
    node.iptables(plan, *foreign.split())
    client, target = _senders(machines, plan)[0], udp(plan.cluster_ip, port)

    (path,) = live_paths(node.host, plan, client, target)

    assert path.outcome.fate is fate
    assert path.outcome.is_masqueraded is ("MASQUERADE" in foreign)
    assert disagreement([path], plan, client, target) == ""
