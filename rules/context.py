# SPDX-License-Identifier: Apache-2.0
"""The options of this node, and what one IP family makes of them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from rules.addresses import is_loopback, of_family
from rules.affinity import AffinityBackend
from rules.cluster_size import LargeClusterMode
from rules.ir import Family
from rules.model import Node


class DetectLocalMode(Enum):
    """How a packet from a local pod is recognised (kube-proxy's ``--detect-local-mode``)."""

    CLUSTER_CIDR = "ClusterCIDR"
    NODE_CIDR = "NodeCIDR"
    BRIDGE_INTERFACE = "BridgeInterface"
    INTERFACE_NAME_PREFIX = "InterfaceNamePrefix"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyOptions:
    """What the operator chose; defaults as kube-proxy's."""

    masquerade_bit: int = 14
    """Bit (0-31) of the packet mark that asks for masquerading."""
    drop_bit: int = 15
    """Bit (0-31) of the packet mark that asks for dropping."""
    masquerade_all: bool = False
    """Masquerade everything that goes to a cluster IP."""
    detect_local_mode: DetectLocalMode = DetectLocalMode.CLUSTER_CIDR
    cluster_cidrs: tuple[str, ...] = ()
    """At most one per family is used: the first."""
    bridge_interface: str = ""
    interface_name_prefix: str = ""
    localhost_node_ports: bool = True
    """Serve IPv4 node ports on 127.0.0.0/8 too."""
    restrict_node_ports: bool = False
    """Serve node ports on ``node_port_addresses`` only, not on every local address."""
    strict_source_ranges: bool = False
    """Close a family that no range of loadBalancerSourceRanges belongs to."""
    drop_invalid: bool = True
    """Drop forwarded packets in conntrack state INVALID; off with nf_conntrack_tcp_be_liberal."""
    large_cluster_mode: LargeClusterMode = LargeClusterMode.AUTO
    affinity_backend: AffinityBackend = AffinityBackend.RECENT
    """Where session affinity remembers clients."""


@dataclass(frozen=True, slots=True)
class LocalDetector:
    """What a rule has to match to tell pods of this node or cluster from others.

    Exactly one field is set.
    """

    source: str = ""
    in_interface: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FamilyContext:
    """All that the rules of one family depend on, besides Services and endpoints."""

    family: Family
    node_name: str
    zone: str
    node_addresses: tuple[str, ...]
    local_detector: LocalDetector | None
    """None if local pods cannot be told apart."""
    masquerade_mark: int
    drop_mark: int
    masquerade_all: bool
    localhost_node_ports: bool
    node_port_addresses: tuple[str, ...] | None
    """Serve node ports on these addresses only; None for every local address."""
    strict_source_ranges: bool
    drop_invalid: bool
    is_large: bool
    """Whether the tables are made as small as they can be, for a large cluster."""
    affinity_backend: AffinityBackend


def family_context(
    options: ProxyOptions,
    node: Node,
    family: Family,
    node_port_addresses: tuple[str, ...] = (),
    *,
    is_large: bool = False,
) -> FamilyContext:
    """What ``family`` makes of the options and the node.

    ``node_port_addresses`` counts only if the options restrict node ports: the local addresses, of
    both families, that they allow.
    """
    localhost_node_ports = options.localhost_node_ports and family is Family.IPV4
    return FamilyContext(
        family=family,
        node_name=node.name,
        zone=node.zone,
        node_addresses=of_family(node.addresses, family),
        local_detector=_local_detector(options, node, family),
        masquerade_mark=1 << options.masquerade_bit,
        drop_mark=1 << options.drop_bit,
        masquerade_all=options.masquerade_all,
        localhost_node_ports=localhost_node_ports,
        node_port_addresses=(
            tuple(
                sorted(
                    address
                    for address in set(of_family(node_port_addresses, family))
                    if localhost_node_ports or not is_loopback(address)
                )
            )
            if options.restrict_node_ports
            else None
        ),
        strict_source_ranges=options.strict_source_ranges,
        drop_invalid=options.drop_invalid,
        is_large=is_large,
        affinity_backend=options.affinity_backend,
    )


def _local_detector(options: ProxyOptions, node: Node, family: Family) -> LocalDetector | None:
    match options.detect_local_mode:
        case DetectLocalMode.CLUSTER_CIDR:
            return _source_detector(options.cluster_cidrs, family)
        case DetectLocalMode.NODE_CIDR:
            return _source_detector(node.pod_cidrs, family)
        case DetectLocalMode.BRIDGE_INTERFACE:
            name = options.bridge_interface
            return LocalDetector(in_interface=name) if name else None
        case DetectLocalMode.INTERFACE_NAME_PREFIX:
            prefix = options.interface_name_prefix
            return LocalDetector(in_interface=prefix + "+") if prefix else None


def _source_detector(networks: tuple[str, ...], family: Family) -> LocalDetector | None:
    usable = of_family(networks, family)
    return LocalDetector(source=usable[0]) if usable else None
