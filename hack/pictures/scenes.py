# SPDX-License-Identifier: Apache-2.0
"""Which packets are drawn, through the rules of which Services."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path
from typing import Final, NamedTuple

from dataplane.dump import desired_tables
from dataplane.local_networks import networks_of
from dataplane.packet_flags import decode_packet
from dataplane.picture import take_picture
from dataplane.settings import Settings, SourceSettings
from dataplane.state import Picture
from rules.cluster_size import LargeClusterMode
from rules.context import ProxyOptions
from rules.ir import Family
from rules.model import ObjectKey, ServiceState
from rules.trace.packet import Packet
from rules.trace.rule_set import RuleSet, desired_rule_set
from rules.trace.tracer import Path as Way
from rules.trace.tracer import Tracer

MANIFESTS: Final = Path(__file__).parents[1] / "docs" / "manifests"
_NODE: Final = "node-a"
_CLUSTER_CIDR: Final = "10.244.0.0/16"
_TEMPLATE: Final = ObjectKey("default", "web")
_FIRST_VIP: Final = IPv4Address("10.96.100.1")
_CROWD: Final = 500
"""Services beside those of the manifests, in the picture of a large cluster."""


class Scene(NamedTuple):
    """A packet that is drawn."""

    title: str
    source: str
    target: str
    is_large: bool = False
    """Whether it is among many Services, in the layout of large clusters."""


class Played(NamedTuple):
    """What became of a scene's packet."""

    packet: Packet
    rules: RuleSet
    paths: tuple[Way, ...]


SCENES: Final = {
    "cluster-ip": Scene("A pod asks a cluster IP", "10.244.1.9", "10.96.86.198:80"),
    "node-port": Scene("A client asks a node port", "203.0.113.10", "192.0.2.11:30956"),
    "source-ranges": Scene("A client that may ask", "203.0.113.10", "198.51.100.0:80"),
    "source-ranges-refused": Scene("One that may not", "203.0.113.66", "198.51.100.0:80"),
    "hairpin": Scene("A pod asks its own Service", "10.244.1.2", "10.96.86.198:80"),
    "policy-local": Scene("Policy Local", "203.0.113.10", "198.51.100.1:80"),
    "no-local-endpoint": Scene("Policy Local, no pod here", "203.0.113.10", "198.51.100.2:80"),
    "no-endpoint": Scene("A Service without endpoints", "10.244.1.9", "10.96.20.3:80"),
    "large-cluster": Scene(
        "In a large cluster", "10.244.1.9", f"{_FIRST_VIP + _CROWD - 1}:80", is_large=True
    ),
}
"""By the name of the picture."""


def play(scene: Scene) -> Played:
    """Build the rules of a scene, and send its packet through them."""
    settings = Settings(
        source=SourceSettings(manifests=(MANIFESTS,), node_name=_NODE),
        options=ProxyOptions(
            cluster_cidrs=(_CLUSTER_CIDR,),
            large_cluster_mode=(
                LargeClusterMode.ALWAYS if scene.is_large else LargeClusterMode.NEVER
            ),
        ),
    )
    picture = take_picture(settings.source)
    if scene.is_large:
        picture = _among_others(picture)
    tables = desired_tables(settings, picture, (Family.IPV4,))[Family.IPV4]
    networks = networks_of(picture.node.addresses, Family.IPV4)
    packet = decode_packet(scene.source, scene.target, None).packet(networks)
    rules = desired_rule_set(tables)
    return Played(packet, rules, Tracer(rules, networks).paths(packet))


def _among_others(picture: Picture) -> Picture:
    """The picture with many more Services, all alike but for their cluster IPs."""
    template = picture.services[_TEMPLATE]
    crowd: dict[ObjectKey, ServiceState] = {}
    for number in range(_CROWD):
        key = ObjectKey("shop", f"web-{number:03}")
        service = replace(
            template.service,
            key=key,
            cluster_ips=(str(_FIRST_VIP + number),),
            ports=tuple(port._replace(node_port=0) for port in template.service.ports),
            ingress_ips=(),
        )
        slices = tuple(replace(one, service=key) for one in template.slices)
        crowd[key] = ServiceState(service, slices)
    return replace(picture, services={**picture.services, **crowd})
