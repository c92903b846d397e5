# SPDX-License-Identifier: Apache-2.0
"""The figures of the note about large clusters, counted again."""

from __future__ import annotations

from ipaddress import IPv4Address, ip_network
from typing import Final

from rules import names
from rules.build import build
from rules.ir import Family, Rules, Table, TableName
from rules.model import (
    EndpointSlice,
    ObjectKey,
    Service,
    ServicePort,
    ServiceState,
    ServiceType,
    SliceEndpoint,
    SlicePort,
)
from tests.address_plan import IPV4, OTHER_NODE, THIS_NODE
from tests.builders import context
from tests.docs.guides import guide
from tests.docs.markdown import table_rows

_SERVICES: Final = 1000
_ENDPOINTS: Final = 10
_FIRST_VIP: Final = IPv4Address("10.96.0.10")
_FIRST_POD: Final = IPv4Address("10.244.0.0")
_NO_SERVICE: Final = IPv4Address("192.0.2.200")


def _cluster() -> dict[ObjectKey, ServiceState]:
    """Services in the order of their VIPs, one endpoint of each on this node."""
    return {(state := _state(number)).service.key: state for number in range(_SERVICES)}


def _state(number: int) -> ServiceState:
    key = ObjectKey("shop", f"web-{number:04}")
    service = Service(
        key,
        ServiceType.CLUSTER_IP,
        (ServicePort("", "tcp", 80, 0),),
        (str(_FIRST_VIP + number),),
    )
    endpoints = tuple(
        SliceEndpoint(str(_FIRST_POD + number * _ENDPOINTS + pod), OTHER_NODE if pod else THIS_NODE)
        for pod in range(_ENDPOINTS)
    )
    slices = (EndpointSlice(key, key, Family.IPV4, (SlicePort("", 80),), endpoints),)
    return ServiceState(service, slices)


def _compared(nat: Table, chain: str, destination: IPv4Address) -> int:
    """How many rules a packet is compared with until one leads it to a Service, or none is left."""
    rules: Rules = nat.chains[chain]
    for number, rule in enumerate(rules, start=1):
        if rule.destination and destination in ip_network(rule.destination):
            target = str(rule.target)
            is_inner = names.is_dispatch_chain(target)
            return number + (_compared(nat, target, destination) if is_inner else 0)
    return len(rules)


def _figures(*, is_large: bool) -> dict[str, str]:
    nat = build(_cluster(), context(IPV4, is_large=is_large))[TableName.NAT]
    counted = {
        "rules": sum(len(rules) for rules in nat.chains.values()),
        "chains": len(nat.chains),
        "rules compared for the last VIP": _compared(
            nat, "KUBE-SERVICES", _FIRST_VIP + _SERVICES - 1
        ),
        "for no Service": _compared(nat, "KUBE-SERVICES", _NO_SERVICE),
    }
    return {
        "layout": "large" if is_large else "classic",
        **{name: str(figure) for name, figure in counted.items()},
    }


def test_figures_of_both_layouts_are_those_of_the_code() -> None:
    """The note's table has what the code builds today."""
    note = guide("hack/docs/design/large-clusters.md")

    assert table_rows(note.section("Context")) == [
        _figures(is_large=False),
        _figures(is_large=True),
    ]
