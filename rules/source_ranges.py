# SPDX-License-Identifier: Apache-2.0
"""Who may use a load-balancer VIP: ``spec.loadBalancerSourceRanges`` seen by one family."""

from __future__ import annotations

from typing import NamedTuple

from rules.addresses import contains, of_family
from rules.context import FamilyContext
from rules.model import Service


class Admission(NamedTuple):
    """The sources that a load-balancer VIP is open to."""

    everybody: bool
    networks: tuple[str, ...] = ()
    """The admitted networks, if not everybody."""
    node_itself: bool = False
    """Whether an admitted network holds this node: its packets to a VIP have the VIP as source."""
    other_family_only: bool = False
    """Whether ranges are named and none is of this family, so that they say nothing about it."""

    @property
    def nobody(self) -> bool:
        """Whether the VIP is closed."""
        return not self.everybody and not self.networks


_EVERYBODY = Admission(everybody=True)


def admission(service: Service, context: FamilyContext) -> Admission:
    """Who may use the load-balancer VIPs of ``service`` in the context's family."""
    if not service.source_ranges:
        return _EVERYBODY
    networks = of_family(service.source_ranges, context.family)
    if not networks:
        return Admission(everybody=not context.strict_source_ranges, other_family_only=True)
    if any(network.endswith("/0") for network in networks):
        return _EVERYBODY
    return Admission(
        everybody=False,
        networks=networks,
        node_itself=any(
            contains(network, address) for network in networks for address in context.node_addresses
        ),
    )
