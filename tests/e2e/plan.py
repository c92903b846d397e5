# SPDX-License-Identifier: Apache-2.0
"""The cluster's address plan: that of :mod:`lab.plan`, for three nodes.

======================  ==========================================  ==================
who                     IPv4                                        IPv6
======================  ==========================================  ==================
pods of node N          10.244.N.0/24                               fd00:10:244:N::/64
node N                  192.0.2.10 + N                              2001:db8:a::1N
the control plane       192.0.2.20
any virtual one         198.51.100.0/24                             2001:db8:b::/64
======================  ==========================================  ==================

Cluster IPs are of 10.96.0.0/12 and fd00:10:96::/112. What clients have no route for, all virtual
addresses included, they send to the first node, unless told to send it to another.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from lab.plan import DualStack
from rules.ir import Family

CONTROL_ADDRESS: Final = "192.0.2.20"


@dataclass(frozen=True, slots=True)
class NodePlan:
    """One node."""

    number: int
    name: str
    zone: str

    @property
    def address(self) -> DualStack:
        """Its address on the local net."""
        return DualStack(f"192.0.2.{10 + self.number}", f"2001:db8:a::1{self.number}")

    @property
    def pod_networks(self) -> DualStack:
        """The networks that the addresses of its pods are of."""
        return DualStack(f"10.244.{self.number}.0/24", f"fd00:10:244:{self.number}::/64")

    def pod_address(self, serial: int) -> DualStack:
        """The address of one of its pods; they are counted from 1."""
        host = serial + 1
        return DualStack(f"10.244.{self.number}.{host}", f"fd00:10:244:{self.number}::{host:x}")


NODES: Final = (
    NodePlan(1, "node-a", "zone-1"),
    NodePlan(2, "node-b", "zone-1"),
    NodePlan(3, "node-c", "zone-2"),
)


def of(family: Family, address: DualStack) -> str:
    """The address of one family."""
    return address.ipv4 if family is Family.IPV4 else address.ipv6
