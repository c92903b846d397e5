# SPDX-License-Identifier: Apache-2.0
"""Which flows belong to service ports, which of them are stale, and when to look for such."""

from __future__ import annotations

from dataclasses import replace
from typing import Unpack

import pytest

from rules.flows import (
    Flow,
    FlowTarget,
    FlowTargets,
    FlowTargetsBuilder,
    SocketAddress,
    needs_reconcile,
)
from rules.model import (
    ServiceState,
    ServiceType,
    SliceEndpoint,
    SlicePort,
    TrafficPolicy,
)
from tests.address_plan import AddressPlan, other_family
from tests.builders import (
    NODE_PORT,
    WEB,
    PodFields,
    ServiceFields,
    context,
    endpoint_slice,
    local,
    remote,
    service,
    service_port,
    state,
)

_UDP = service_port(protocol="udp", node_port=NODE_PORT)
_TERMINATING: PodFields = {"ready": False, "serving": True, "terminating": True}


def _service(
    plan: AddressPlan, *endpoints: SliceEndpoint, **fields: Unpack[ServiceFields]
) -> ServiceState:
    """A load balancer with an address of each kind and the one port 80/UDP."""
    everything: ServiceFields = {
        "type": ServiceType.LOAD_BALANCER,
        "ports": (_UDP,),
        "external_ips": (plan.external_ip,),
        "ingress_ips": (plan.ingress_ip,),
    }
    return state(plan, *endpoints, **(everything | fields))


def _targets(plan: AddressPlan, *states: ServiceState) -> FlowTargets:
    return FlowTargetsBuilder(context(plan)).build({one.service.key: one for one in states})


def _ends(*addresses: str) -> frozenset[SocketAddress]:
    return frozenset(SocketAddress(address, 80) for address in addresses)


def _flow(address: str, reply_address: str, *, port: int = 80, protocol: str = "udp") -> Flow:
    """A flow to ``address`` that a server listening on port 80 answers."""
    return Flow(protocol, SocketAddress(address, port), SocketAddress(reply_address, 80))


def _untranslated(address: str, port: int = 80) -> Flow:
    return Flow("udp", SocketAddress(address, port), SocketAddress(address, port))


def test_every_address_of_a_service_port_is_a_target(plan: AddressPlan) -> None:
    """Cluster, external and ingress IPs with the port, and the node port wherever it is served."""
    found = _targets(plan, _service(plan, local(plan.local_pod), remote(plan.remote_pod)))

    endpoints = _ends(plan.local_pod, plan.remote_pod)
    assert found.serving == {
        FlowTarget("udp", plan.cluster_ip, 80): endpoints,
        FlowTarget("udp", plan.external_ip, 80): endpoints,
        FlowTarget("udp", plan.ingress_ip, 80): endpoints,
        FlowTarget("udp", "", NODE_PORT): endpoints,
    }


def test_restricted_node_ports_are_targets_on_their_addresses_only(plan: AddressPlan) -> None:
    """With nodePortAddresses a node port stands for those addresses."""
    on_node = context(plan, node_port_addresses=(plan.node_ip,), restrict_node_ports=True)

    found = FlowTargetsBuilder(on_node).build({WEB: _service(plan)})

    node_ports = [target for target in found.serving if target.port == NODE_PORT]
    assert node_ports == [FlowTarget("udp", plan.node_ip, NODE_PORT)]


@pytest.mark.parametrize(("protocol", "count"), [("tcp", 0), ("udp", 4), ("sctp", 4)])
def test_protocols(plan: AddressPlan, protocol: str, count: int) -> None:
    """UDP and SCTP service ports have targets; TCP clients look after themselves."""
    port = service_port(protocol=protocol, node_port=NODE_PORT)

    found = _targets(plan, _service(plan, ports=(port,)))

    assert len(found.serving) == count
    assert found.protocols == ({protocol} if count else frozenset())


def test_services_that_are_not_proxied_have_no_targets(plan: AddressPlan) -> None:
    """What another proxy serves, and what has no address of this family, is left alone."""
    foreign = _service(plan, local(plan.local_pod), proxy_name="other")
    other = _service(other_family(plan), local(other_family(plan).local_pod))

    assert _targets(plan, foreign).serving == {}
    assert _targets(plan, other).serving == {}


@pytest.mark.parametrize(
    ("fields", "serves"),
    [
        ({}, True),
        (_TERMINATING, True),
        ({"ready": True, "serving": False}, True),
        ({"ready": False, "serving": False}, False),
        ({"ready": False, "serving": False, "terminating": True}, False),
    ],
)
def test_endpoints_serve_while_they_say_so(
    plan: AddressPlan, fields: PodFields, *, serves: bool
) -> None:
    """An endpoint keeps its flows while it is ready or serving, even if others are preferred."""
    ready, asked = remote(plan.remote_pod), local(plan.local_pod, **fields)

    found = _targets(plan, _service(plan, ready, asked))

    expected = {plan.remote_pod, plan.local_pod} if serves else {plan.remote_pod}
    assert found.serving[FlowTarget("udp", plan.cluster_ip, 80)] == _ends(*expected)


def test_policies_and_topology_end_no_flow(plan: AddressPlan) -> None:
    """Flows to endpoints that this node would not choose any more go on."""
    hinted = remote(plan.remote_pod, zone_hints=("elsewhere",))
    policies: ServiceFields = {
        "internal_traffic_policy": TrafficPolicy.LOCAL,
        "external_traffic_policy": TrafficPolicy.LOCAL,
    }

    found = _targets(plan, _service(plan, local(plan.local_pod), hinted, **policies))

    assert set(found.serving.values()) == {_ends(plan.local_pod, plan.remote_pod)}


def test_endpoints_are_matched_by_port_name_and_family(plan: AddressPlan) -> None:
    """A slice's port counts for the service port of its name, with its own number."""
    ports = (
        service_port(53, name="dns", protocol="udp"),
        service_port(123, name="ntp", protocol="udp"),
    )
    named = (SlicePort("dns", 5353), SlicePort("ntp", 1123))
    slices = (
        endpoint_slice(plan, local(plan.local_pod), ports=named),
        endpoint_slice(other_family(plan), local(other_family(plan).local_pod), ports=named),
    )

    found = _targets(plan, ServiceState(service(plan, ports=ports), slices))

    assert found.serving == {
        FlowTarget("udp", plan.cluster_ip, 53): {SocketAddress(plan.local_pod, 5353)},
        FlowTarget("udp", plan.cluster_ip, 123): {SocketAddress(plan.local_pod, 1123)},
    }


def test_a_target_that_services_share_has_the_endpoints_of_all(plan: AddressPlan) -> None:
    """Which of two services owns an external IP is not for us to say by cutting flows."""
    mine = _service(plan, local(plan.local_pod))
    other = _service(
        plan,
        remote(plan.remote_pod),
        key=WEB._replace(name="other"),
        cluster_ips=(plan.other_cluster_ip,),
    )

    found = _targets(plan, mine, other)

    shared = FlowTarget("udp", plan.external_ip, 80)
    assert found.serving[shared] == _ends(plan.local_pod, plan.remote_pod)


def test_only_changed_services_are_looked_at_again(plan: AddressPlan) -> None:
    """Unchanged states give the same object; a changed one gives what a new builder gives."""
    builder = FlowTargetsBuilder(context(plan))
    states = {WEB: _service(plan, local(plan.local_pod))}
    first = builder.build(states)

    assert builder.build(dict(states)) is first
    changed = {WEB: _service(plan, remote(plan.remote_pod))}
    assert builder.build(changed) == FlowTargetsBuilder(context(plan)).build(changed) != first
    assert builder.build({}).serving == {}


def test_a_flow_to_a_serving_endpoint_is_not_stale(plan: AddressPlan) -> None:
    """Neither through a virtual address nor through a node port."""
    targets = _targets(plan, _service(plan, local(plan.local_pod)))

    for address in (plan.cluster_ip, plan.external_ip, plan.ingress_ip):
        assert not targets.is_stale(_flow(address, plan.local_pod), ())
    flow = _flow(plan.node_ip, plan.local_pod, port=NODE_PORT)
    assert not targets.is_stale(flow, {plan.node_ip})


def test_a_flow_to_anybody_else_is_stale(plan: AddressPlan) -> None:
    """Another address, the right address with another port, or no translation at all."""
    targets = _targets(plan, _service(plan, local(plan.local_pod)))
    elsewhere = _flow(plan.cluster_ip, plan.local_pod)._replace(
        reply_source=SocketAddress(plan.local_pod, 81)
    )

    assert targets.is_stale(_flow(plan.cluster_ip, plan.remote_pod), ())
    assert targets.is_stale(elsewhere, ())
    assert targets.is_stale(_untranslated(plan.cluster_ip), ())
    assert targets.is_stale(_untranslated(plan.node_ip, NODE_PORT), {plan.node_ip})


def test_flows_to_a_service_without_endpoints_are_stale(plan: AddressPlan) -> None:
    """The last endpoint takes all flows with it."""
    targets = _targets(plan, _service(plan))

    assert targets.is_stale(_flow(plan.cluster_ip, plan.local_pod), ())
    assert targets.is_stale(_flow(plan.node_ip, plan.local_pod, port=NODE_PORT), {plan.node_ip})


def test_other_flows_are_never_stale(plan: AddressPlan) -> None:
    """Another port, another protocol, another address; a node port on somebody else's address."""
    targets = _targets(plan, _service(plan))

    for flow in (
        _flow(plan.cluster_ip, plan.remote_pod, port=81),
        _flow(plan.cluster_ip, plan.remote_pod, protocol="tcp"),
        _flow(plan.other_cluster_ip, plan.remote_pod),
        _flow(plan.remote_pod, plan.remote_pod, port=NODE_PORT),
    ):
        assert not targets.is_stale(flow, {plan.node_ip}), flow


@pytest.mark.parametrize("served", [True, False])
def test_node_ports_on_loopback(plan: AddressPlan, *, served: bool) -> None:
    """Flows to loopback are a node port's only where loopback serves node ports."""
    targets = replace(_targets(plan, _service(plan)), loopback_serves_node_ports=served)

    assert targets.is_stale(_untranslated(plan.loopback, NODE_PORT), {plan.loopback}) is served


def test_whether_loopback_serves_node_ports_follows_from_the_options(plan: AddressPlan) -> None:
    """IPv4 does unless told otherwise; IPv6 never does."""
    for wanted in (True, False):
        on_node = context(plan, localhost_node_ports=wanted)
        found = FlowTargetsBuilder(on_node).build({})
        assert found.loopback_serves_node_ports is on_node.localhost_node_ports


def test_former_targets_lose_their_translated_flows(plan: AddressPlan) -> None:
    """What a deleted service translated is stale; what goes to that address itself is not."""
    before = _targets(plan, _service(plan, local(plan.local_pod)))

    targets = _targets(plan).remembering(before)

    assert targets.is_stale(_flow(plan.cluster_ip, plan.local_pod), ())
    assert not targets.is_stale(_untranslated(plan.cluster_ip), ())
    node_port = _flow(plan.node_ip, plan.local_pod, port=NODE_PORT)
    assert targets.is_stale(node_port, {plan.node_ip})
    assert not targets.is_stale(node_port, ())
    assert targets.ports == {80, NODE_PORT}
    assert targets.protocols == {"udp"}


def test_former_targets_are_remembered_until_they_serve_again(plan: AddressPlan) -> None:
    """Memory goes over several steps, and a target that is back is a target like others."""
    served = _targets(plan, _service(plan, local(plan.local_pod)))
    gone = _targets(plan).remembering(served)

    assert _targets(plan).remembering(gone).former == served.serving.keys()
    assert served.remembering(gone) == served


def test_reconcile_is_needed_when_flows_can_have_become_stale(plan: AddressPlan) -> None:
    """An endpoint lost, all endpoints lost, a service deleted, a first endpoint."""
    none = _targets(plan)
    empty = _targets(plan, _service(plan))
    one = _targets(plan, _service(plan, local(plan.local_pod)))
    two = _targets(plan, _service(plan, local(plan.local_pod), remote(plan.remote_pod)))
    other = _targets(plan, _service(plan, remote(plan.remote_pod)))

    for before, after in ((two, one), (one, other), (one, empty), (one, none)):
        assert needs_reconcile(before, after)
    for before, after in ((empty, one), (none, one)):
        assert needs_reconcile(before, after)


def test_reconcile_is_not_needed_otherwise(plan: AddressPlan) -> None:
    """Nothing changed, one more endpoint, a service that comes and goes without endpoints."""
    none = _targets(plan)
    empty = _targets(plan, _service(plan))
    one = _targets(plan, _service(plan, local(plan.local_pod)))
    same = _targets(plan, _service(plan, local(plan.local_pod)))
    two = _targets(plan, _service(plan, local(plan.local_pod), remote(plan.remote_pod)))

    for before, after in ((one, one), (one, same), (one, two), (none, empty), (empty, none)):
        assert not needs_reconcile(before, after)


def test_the_first_time_reconcile_is_needed_if_there_are_targets(plan: AddressPlan) -> None:
    """Without memory anything may be stale, unless no service could have made it so."""
    assert needs_reconcile(None, _targets(plan, _service(plan)))
    assert not needs_reconcile(None, _targets(plan))


def test_former_targets_are_bounded() -> None:
    """Where no pass succeeds for days, the last to go are remembered and the first forgotten."""
    known = served = FlowTargets({})
    for first in range(0, 1 << 16, 1 << 10):
        ports = range(first, first + (1 << 10))
        served = FlowTargets({FlowTarget("udp", "10.96.0.10", port): frozenset() for port in ports})
        known = FlowTargets({}).remembering(served.remembering(known))
    assert served.serving.keys() <= known.former
    assert len(known.former) <= 1 << 14
