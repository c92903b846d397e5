# SPDX-License-Identifier: Apache-2.0
"""The layout of large clusters: no packet can tell it from the classic one, but by its speed."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import NamedTuple

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rules.build import ServiceBuilder, build
from rules.compose import TableComposer
from rules.ir import Family, Tables
from rules.model import ObjectKey, ServiceState, SliceEndpoint, TrafficPolicy
from rules.text import save_tables
from rules.trace.packet import Packet
from rules.trace.report import Trace
from rules.trace.rule_set import desired_rule_set
from rules.trace.tracer import Tracer
from tests.address_plan import IPV4
from tests.builders import context, local, remote, service_port, state

_LITTLE = Fraction(1, 10**6)
"""How far odds may be from each other, as they are rounded at each step of a choice."""
_LOCAL_NETWORKS = (IPV4.loopback_network, IPV4.host(IPV4.node_ip))
_FIRST_NODE_PORT = 30000


class _Spec(NamedTuple):
    """A Service in few words."""

    network: int
    protocol: str
    has_node_port: bool
    is_external: bool
    internal_policy: TrafficPolicy
    external_policy: TrafficPolicy
    local_pods: int
    remote_pods: int
    affinity_seconds: int | None


_specs = st.builds(
    _Spec,
    st.integers(0, 3),
    st.sampled_from(["tcp", "udp"]),
    st.booleans(),
    st.booleans(),
    st.sampled_from(TrafficPolicy),
    st.sampled_from(TrafficPolicy),
    st.sampled_from([0, 0, 1, 2]),
    st.sampled_from([0, 0, 1, 2, 140]),
    st.sampled_from([None, None, None, 60]),
)

_few = st.lists(_specs, max_size=20)
_many = st.lists(_specs, min_size=30, max_size=60)


def _vip(spec: _Spec, number: int) -> str:
    return f"10.{96 + spec.network}.{number % 3}.{number}"


def _pods(spec: _Spec) -> list[SliceEndpoint]:
    here = [local(f"10.244.1.{number + 2}") for number in range(spec.local_pods)]
    return here + [remote(f"10.244.2.{number + 2}") for number in range(spec.remote_pods)]


def _state(spec: _Spec, number: int) -> ServiceState:
    node_port = _FIRST_NODE_PORT + 5 * number if spec.has_node_port else 0
    return state(
        IPV4,
        *_pods(spec),
        key=ObjectKey("default", f"web-{number:02}"),
        cluster_ips=(_vip(spec, number),),
        external_ips=(IPV4.external_ip,) if spec.is_external else (),
        ports=(service_port(1000 + number, protocol=spec.protocol, node_port=node_port),),
        internal_traffic_policy=spec.internal_policy,
        external_traffic_policy=spec.external_policy,
        affinity_seconds=spec.affinity_seconds,
        health_check_node_port=31000 + number if spec.has_node_port else 0,
    )


@st.composite
def _packets(draw: st.DrawFn, specs: list[_Spec]) -> Packet:
    """A packet to one of the Services by one of its addresses, or to what is none of them."""
    number = draw(st.integers(0, len(specs) - 1))
    spec = specs[number]
    destination, port = draw(
        st.sampled_from(
            [
                (_vip(spec, number), 1000 + number),
                (IPV4.external_ip, 1000 + number),
                (IPV4.node_ip, _FIRST_NODE_PORT + 5 * number),
                (IPV4.node_ip, 31000 + number),
                (IPV4.remote_pod, 80),
            ]
        )
    )
    source = draw(st.sampled_from([IPV4.node_ip, IPV4.other_local_pod, "203.0.113.99"]))
    return Packet(
        protocol=spec.protocol,
        source=source,
        destination=destination,
        destination_port=port,
        in_interface="eth0",
        is_from_this_node=source == IPV4.node_ip,
    )


def _tables(states: Mapping[ObjectKey, ServiceState], *, is_large: bool) -> Tables:
    return build(states, context(IPV4, is_large=is_large))


def _states(specs: list[_Spec]) -> dict[ObjectKey, ServiceState]:
    return {one.service.key: one for one in map(_state, specs, range(len(specs)))}


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(_many, st.data())
def test_a_packet_has_the_same_fate_in_both_layouts(
    specs: list[_Spec], data: st.DataObject
) -> None:
    """The same endpoints with the same odds, the same refusals and the same masquerading."""
    states = _states(specs)
    classic, large = (
        Tracer(desired_rule_set(_tables(states, is_large=is_large)), _LOCAL_NETWORKS)
        for is_large in (False, True)
    )
    for packet in data.draw(st.lists(_packets(specs), min_size=1, max_size=5)):
        expected = Trace(packet, classic.paths(packet)).odds()
        found = Trace(packet, large.paths(packet)).odds()
        assert found.keys() == expected.keys()
        for assumptions, outcomes in expected.items():
            assert found[assumptions].keys() == outcomes.keys()
            for outcome, odds in outcomes.items():
                assert abs(found[assumptions][outcome] / odds - 1) < _LITTLE


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(_few | _many, max_size=4))
def test_trees_that_follow_equal_trees_made_anew(history: list[list[_Spec]]) -> None:
    """However Services come, change and go, the tables are those of an agent that just started."""
    on_node = context(IPV4, is_large=True)
    builder, composer = ServiceBuilder(on_node), TableComposer(on_node)
    for specs in history:
        states = _states(specs)
        followed = composer.compose(builder.build(states))
        assert save_tables(followed, Family.IPV4) == save_tables(
            _tables(states, is_large=True), Family.IPV4
        )
