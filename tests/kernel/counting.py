# SPDX-License-Identifier: Apache-2.0
"""What the kernel of a node has counted for Services, as ``dataplane services`` reads it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from dataplane.kernel.counters import counted_rules
from rules.model import ServiceState
from rules.traffic.accounts import Accounts, Purpose, service_ports
from rules.traffic.report import Readings, ServiceTraffic, service_traffic
from rules.traffic.tally import tally
from tests.address_plan import AddressPlan
from tests.builders import context
from tests.kernel.node import KernelNode


class Counts(NamedTuple):
    """The numbers of one service port."""

    connections: int
    by_endpoint: Mapping[str, int]
    outside_source_ranges: int
    no_local_endpoints: int
    rejected: int


def counted(node: KernelNode, plan: AddressPlan, *states: ServiceState) -> Counts:
    """What was counted for the first service port of ``states``."""
    (one, *_) = _traffic(node, plan, *states)
    return Counts(
        one.connections.count,
        {endpoint.text: endpoint.connections.count for endpoint in one.endpoints},
        one.dropped[Purpose.OUTSIDE_SOURCE_RANGES].count,
        one.dropped[Purpose.NO_LOCAL_ENDPOINTS].count,
        one.rejected.count,
    )


def _traffic(
    node: KernelNode, plan: AddressPlan, *states: ServiceState
) -> tuple[ServiceTraffic, ...]:
    ports = list(service_ports(states, context(plan)))
    with node.host.entered():
        rules = counted_rules(plan.family)
    return service_traffic(plan.family, ports, Readings(tally(rules, Accounts(ports))))
