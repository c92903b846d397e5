# SPDX-License-Identifier: Apache-2.0
"""The address plan that every node lab obeys: who an address belongs to shows in its range.

================  ====================================  ========================================
who               IPv4                                  IPv6
================  ====================================  ========================================
pods              10.244.0.0/16, gateway 10.244.0.1     fd00:10:244::/48, gateway fd00:10:244::1
the local net     192.0.2.0/24                          2001:db8:a::/64
outside clients   203.0.113.0/24                        2001:db8:c::/64
================  ====================================  ========================================

Cluster IPs and ingress IPs are on no machine: whatever has no other owner goes to the node.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DualStack:
    """One address of each family."""

    ipv4: str
    ipv6: str


GATEWAY = DualStack("10.244.0.1", "fd00:10:244::1")
"""A node's address on its links to its pods: what pods see of masqueraded traffic."""
NODE = DualStack("192.0.2.11", "2001:db8:a::11")
REMOTE_NODE = DualStack("192.0.2.12", "2001:db8:a::12")
ROUTER = DualStack("192.0.2.1", "2001:db8:a::1")
"""The outside machine's address on the local net; all nodes route by it."""
CLIENT = DualStack("203.0.113.10", "2001:db8:c::10")
"""The address the outside machine uses unless told otherwise."""
OTHER_CLIENT = DualStack("203.0.113.66", "2001:db8:c::66")
"""A second address of the outside machine, for whom a firewall keeps out."""


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod to build: its name must be a valid interface name after ``veth-``."""

    name: str
    address: DualStack


POD_1 = Pod("web-1", DualStack("10.244.1.2", "fd00:10:244:1::2"))
POD_2 = Pod("web-2", DualStack("10.244.2.6", "fd00:10:244:2::6"))
