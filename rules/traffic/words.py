# SPDX-License-Identifier: Apache-2.0
"""Service ports and their traffic as a table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from rules.model import TrafficPolicy
from rules.traffic.report import EndpointTraffic, ServiceTraffic, Traffic

_HEADINGS: Final = (
    "SERVICE PORT",
    "PROTOCOL",
    "ADDRESSES",
    "POLICY",
    "ENDPOINTS",
    "CONNECTIONS",
    "PER SECOND",
    "DROPPED",
    "REJECTED",
)
_NUMBERS_FROM: Final = _HEADINGS.index("CONNECTIONS")
"""The columns from here on are aligned to the right."""
_GAP: Final = "  "


def services_table(services: Iterable[ServiceTraffic], *, with_endpoints: bool) -> list[str]:
    """The lines of the table, headings first; under each service port its endpoints, if wanted."""
    rows: list[Sequence[str]] = [_HEADINGS]
    for one in services:
        rows.append(_row(one))
        if with_endpoints:
            rows += map(_endpoint_row, one.endpoints)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [_GAP.join(_aligned(row, widths)).rstrip() for row in rows]


def _aligned(row: Sequence[str], widths: Sequence[int]) -> Iterator[str]:
    for number, (cell, width) in enumerate(zip(row, widths, strict=True)):
        yield cell.rjust(width) if number >= _NUMBERS_FROM else cell.ljust(width)


def _row(one: ServiceTraffic) -> Sequence[str]:
    return (
        one.name,
        one.protocol,
        " ".join(
            f":{address.text}" if address.kind == "nodePort" else address.text
            for address in one.addresses
        ),
        _policy(one),
        _endpoints(one.endpoints),
        str(one.connections.count),
        _rate(one.connections),
        str(one.all_dropped.count),
        str(one.rejected.count),
    )


def _endpoint_row(one: EndpointTraffic) -> Sequence[str]:
    place = "local" if one.is_local else ""
    return (
        f"  {one.text}",
        *("", "", ""),
        place,
        str(one.connections.count),
        _rate(one.connections),
        *("", ""),
    )


def _policy(one: ServiceTraffic) -> str:
    internal, external = one.internal_policy, one.external_policy
    if external is None or external is internal:
        return internal.value
    kinds = ("internal", "external")
    return " ".join(
        f"{kind} {policy.value}"
        for kind, policy in zip(kinds, (internal, external), strict=True)
        if policy is TrafficPolicy.LOCAL
    )


def _endpoints(endpoints: Sequence[EndpointTraffic]) -> str:
    here = sum(endpoint.is_local for endpoint in endpoints)
    return f"{len(endpoints)}, {here} local" if here else str(len(endpoints))


def _rate(traffic: Traffic) -> str:
    return "-" if traffic.rate is None else f"{traffic.rate:.1f}"
