# SPDX-License-Identifier: Apache-2.0
"""The addresses that tests use, so that an address in a failure says what it belongs to."""

from __future__ import annotations

from dataclasses import dataclass

from rules.ir import Family

THIS_NODE = "node-1"
OTHER_NODE = "node-2"
ZONE = "zone-a"
OTHER_ZONE = "zone-b"


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressPlan:
    """One family's addresses. Pods sort as they are listed."""

    family: Family
    cluster_ip: str
    other_cluster_ip: str
    external_ip: str
    ingress_ip: str
    other_ingress_ip: str
    node_ip: str
    cluster_cidr: str
    node_cidr: str
    """Pods of this node."""
    local_pod: str
    other_local_pod: str
    remote_pod: str
    other_remote_pod: str
    client_network: str
    node_network: str
    """Holds the node's address."""
    everywhere: str
    loopback: str
    loopback_network: str

    def host(self, address: str) -> str:
        """The network of ``address`` alone, as iptables-save prints it."""
        return f"{address}/{self.family.host_prefix_length}"

    def endpoint(self, address: str, port: int = 80) -> str:
        """``address`` and ``port`` as they stand in comments and DNAT targets."""
        return f"{address}:{port}" if self.family is Family.IPV4 else f"[{address}]:{port}"


IPV4 = AddressPlan(
    family=Family.IPV4,
    cluster_ip="10.96.86.198",
    other_cluster_ip="10.96.0.10",
    external_ip="203.0.113.7",
    ingress_ip="198.51.100.0",
    other_ingress_ip="198.51.100.1",
    node_ip="192.0.2.11",
    cluster_cidr="10.244.0.0/16",
    node_cidr="10.244.1.0/24",
    local_pod="10.244.1.2",
    other_local_pod="10.244.1.3",
    remote_pod="10.244.2.6",
    other_remote_pod="10.244.3.9",
    client_network="192.168.7.0/24",
    node_network="192.0.2.0/24",
    everywhere="0.0.0.0/0",
    loopback="127.0.0.1",
    loopback_network="127.0.0.0/8",
)
IPV6 = AddressPlan(
    family=Family.IPV6,
    cluster_ip="fd00:10:96::c6",
    other_cluster_ip="fd00:10:96::a",
    external_ip="2001:db8:e::7",
    ingress_ip="2001:db8:b::",
    other_ingress_ip="2001:db8:b::1",
    node_ip="2001:db8:a::11",
    cluster_cidr="fd00:10:244::/48",
    node_cidr="fd00:10:244:1::/64",
    local_pod="fd00:10:244:1::2",
    other_local_pod="fd00:10:244:1::3",
    remote_pod="fd00:10:244:2::6",
    other_remote_pod="fd00:10:244:3::9",
    client_network="2001:db8:c::/64",
    node_network="2001:db8:a::/64",
    everywhere="::/0",
    loopback="::1",
    loopback_network="::1/128",
)
PLANS = (IPV4, IPV6)


def other_family(plan: AddressPlan) -> AddressPlan:
    """The plan of the family that ``plan`` is not for."""
    return IPV6 if plan is IPV4 else IPV4
