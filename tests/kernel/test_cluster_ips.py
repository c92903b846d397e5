# SPDX-License-Identifier: Apache-2.0
"""Packets to cluster IPs: who answers, and whom the endpoint sees."""

from __future__ import annotations

import pytest

from lab import NodeLab, Protocol, Refused, Target, wait_until
from lab.plan import CLIENT, GATEWAY, NODE
from rules.context import DetectLocalMode
from rules.model import ServiceState, SlicePort
from tests.address_plan import AddressPlan
from tests.builders import (
    OptionFields,
    endpoint_slice,
    local,
    remote,
    service,
    service_port,
    state,
)
from tests.kernel.node import KernelNode, in_both_layouts
from tests.kernel.traffic import LOCAL, REMOTE, answer, at_once, of, tcp, udp

pytestmark = in_both_layouts


@pytest.mark.parametrize("protocol", Protocol)
def test_everybody_reaches_a_cluster_ip(
    node: KernelNode, machines: NodeLab, plan: AddressPlan, protocol: Protocol
) -> None:
    """A pod, the node and an outside client are answered, by TCP and by UDP."""
    port = service_port(4000, protocol=protocol.name.lower())
    node.program(plan, state(plan, local(plan.local_pod), ports=(port,)))

    for host in (machines.pods["local-2"], machines.node, machines.client):
        assert answer(host, Target(plan.cluster_ip, 4000, protocol)).by == LOCAL.name


def test_an_endpoint_on_another_node_answers(
    node: KernelNode, machines: NodeLab, plan: AddressPlan
) -> None:
    """A pod, the node and an outside client reach an endpoint that is not on this node."""
    node.program(plan, state(plan, remote(plan.remote_pod)))

    for host in (machines.pods["local-1"], machines.node, machines.client):
        assert answer(host, tcp(plan.cluster_ip)).by == REMOTE.name


@pytest.mark.parametrize(
    "detector",
    [
        OptionFields(),
        OptionFields(detect_local_mode=DetectLocalMode.NODE_CIDR),
        OptionFields(
            detect_local_mode=DetectLocalMode.BRIDGE_INTERFACE, bridge_interface="veth-local-1"
        ),
        OptionFields(
            detect_local_mode=DetectLocalMode.INTERFACE_NAME_PREFIX, interface_name_prefix="veth-"
        ),
    ],
    ids=lambda fields: fields.get("detect_local_mode", DetectLocalMode.CLUSTER_CIDR).value,
)
def test_only_traffic_of_local_pods_keeps_its_source(
    node: KernelNode, machines: NodeLab, plan: AddressPlan, detector: OptionFields
) -> None:
    """The endpoint sees the pod itself, but the node in place of a client or the node's process."""
    node.program(plan, state(plan, remote(plan.remote_pod)), **detector)
    target = tcp(plan.cluster_ip)

    assert answer(machines.pods["local-1"], target).source == plan.local_pod
    assert answer(machines.client, target).source == of(plan, NODE)
    assert answer(machines.node, target).source == of(plan, NODE)


def test_masquerade_all_hides_pods_too(
    node: KernelNode, machines: NodeLab, plan: AddressPlan
) -> None:
    """With masqueradeAll the endpoint sees the node in place of a pod."""
    node.program(plan, state(plan, remote(plan.remote_pod)), masquerade_all=True)

    assert answer(machines.pods["local-1"], tcp(plan.cluster_ip)).source == of(plan, NODE)


def test_without_a_detector_nobody_is_hidden(
    node: KernelNode, machines: NodeLab, plan: AddressPlan
) -> None:
    """Where pods cannot be told from others, an endpoint of this node sees a client as it is."""
    node.program(plan, state(plan, local(plan.local_pod)), cluster_cidrs=())

    assert answer(machines.client, tcp(plan.cluster_ip)).source == of(plan, CLIENT)


@pytest.mark.parametrize("protocol", Protocol)
def test_a_pod_reaches_itself(
    node: KernelNode, machines: NodeLab, plan: AddressPlan, protocol: Protocol
) -> None:
    """A pod that its own service chooses sees the node as the source (hairpin)."""
    port = service_port(protocol=protocol.name.lower())
    node.program(plan, state(plan, local(plan.local_pod), ports=(port,)))

    outcome = answer(machines.pods["local-1"], Target(plan.cluster_ip, 80, protocol))

    assert (outcome.by, outcome.source) == (LOCAL.name, of(plan, GATEWAY))


def test_one_number_serves_two_protocols(
    node: KernelNode, machines: NodeLab, plan: AddressPlan
) -> None:
    """TCP and UDP on the same port of a service go to the endpoints of each."""
    dns = service(
        plan,
        ports=(
            service_port(53, name="dns", protocol="udp"),
            service_port(53, name="dns-tcp", protocol="tcp"),
        ),
    )
    slices = (
        endpoint_slice(plan, local(plan.local_pod), name="web-1", ports=(SlicePort("dns", 80),)),
        endpoint_slice(
            plan, remote(plan.remote_pod), name="web-2", ports=(SlicePort("dns-tcp", 80),)
        ),
    )
    node.program(plan, ServiceState(dns, slices))

    assert answer(machines.client, udp(plan.cluster_ip, 53)).by == LOCAL.name
    assert answer(machines.client, tcp(plan.cluster_ip, 53)).by == REMOTE.name


def test_another_port_of_the_address_is_not_served(
    node: KernelNode, machines: NodeLab, plan: AddressPlan
) -> None:
    """Only the service's own port and protocol lead to its endpoints."""
    node.program(plan, state(plan, local(plan.local_pod)))
    # The way back for what no rule translates: nothing listens there.
    machines.client.ip(f"address add {plan.cluster_ip} dev lan nodad")
    route = ["ip", "route", "get", plan.cluster_ip]
    try:
        # The kernel adds an IPv6 address first and the route to it a moment later.
        wait_until(
            "the client owns the address",
            lambda: machines.client.run(route, check=False).stdout.startswith("local "),
        )
        assert at_once(machines.node, tcp(plan.cluster_ip, 81)) == Refused()
        assert at_once(machines.node, udp(plan.cluster_ip)) == Refused()
    finally:
        machines.client.ip(f"address del {plan.cluster_ip} dev lan")
