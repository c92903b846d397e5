# SPDX-License-Identifier: Apache-2.0
"""Service ports and their traffic as plain values for any JSON encoder.

The form is stable: fields may be added, none is renamed or removed::

    {"services": [{"namespace": NAME, "service": NAME, "servicePort": "ns/name[:port]",
                   "family": FAMILY, "protocol": PROTOCOL,
                   "addresses": [{"kind": KIND, "address": TEXT}...],
                   "internalTrafficPolicy": POLICY, "externalTrafficPolicy": POLICY or null,
                   "endpoints": [{"endpoint": TEXT, "local": BOOL,
                                  "connections": N, "connectionsPerSecond": R}...],
                   "connections": N, "connectionsPerSecond": R,
                   "dropped": {"sourceRanges": N, "noLocalEndpoints": N}, "droppedPerSecond": R,
                   "rejected": N, "rejectedPerSecond": R}...]}

A rate is null if it was not measured.
"""

from __future__ import annotations

from collections.abc import Iterable

from rules.jsonform import JsonObject
from rules.traffic.report import EndpointTraffic, ServiceTraffic


def json_services(services: Iterable[ServiceTraffic]) -> JsonObject:
    """All ``services`` in their order."""
    return {"services": [json_service(one) for one in services]}


def json_service(one: ServiceTraffic) -> JsonObject:
    """One of them."""
    return {
        "namespace": one.key.namespace,
        "service": one.key.name,
        "servicePort": one.name,
        "family": one.family.value,
        "protocol": one.protocol,
        "addresses": [{"kind": address.kind, "address": address.text} for address in one.addresses],
        "internalTrafficPolicy": one.internal_policy.value,
        "externalTrafficPolicy": one.external_policy.value if one.external_policy else None,
        "endpoints": [_endpoint(endpoint) for endpoint in one.endpoints],
        "connections": one.connections.count,
        "connectionsPerSecond": one.connections.rate,
        "dropped": {purpose.value: traffic.count for purpose, traffic in one.dropped.items()},
        "droppedPerSecond": one.all_dropped.rate,
        "rejected": one.rejected.count,
        "rejectedPerSecond": one.rejected.rate,
    }


def _endpoint(one: EndpointTraffic) -> JsonObject:
    return {
        "endpoint": one.text,
        "local": one.is_local,
        "connections": one.connections.count,
        "connectionsPerSecond": one.connections.rate,
    }
