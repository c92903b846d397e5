# SPDX-License-Identifier: Apache-2.0
"""The packet counters of the rules that count for service ports, read without libiptc.

Only read, so without the xtables lock; reading costs packets nothing. A rule that libiptc keeps in
a commit keeps its counter, with what it counted during the commit.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from ipaddress import ip_address
from typing import Final

from tenacity import Retrying, retry_if_exception_type, stop_after_attempt

from dataplane.errors import ConflictError
from dataplane.kernel.decode_extensions import MATCH_READERS, TARGET_READERS
from dataplane.kernel.layout import (
    COUNTERS,
    ENTRY_LAYOUTS,
    EXTENSION_HEADER,
    PROTOCOL_NUMBERS,
)
from dataplane.kernel.table_info import table_info
from dataplane.kernel.table_reading import RulePlace, TableReading
from rules.addresses import host_network
from rules.ir import Family, Reject, Rule, TableName
from rules.traffic.accounts import counts_endpoints, is_counted
from rules.traffic.tally import CountedRule

_ATTEMPTS: Final = 5
_DNAT: Final = "DNAT"
_REJECT: Final = "REJECT"


def counted_rules(family: Family, *, with_endpoints: bool = True) -> list[CountedRule]:
    """All rules of both tables that may count for service ports, with their counters.

    Those that count for endpoints are most of them, and may be left out.

    Raises:
        ConflictError: the tables were changed each time that they were read.
        KernelUnusableError: the tables cannot be read.
    """
    repeat_on_conflict = Retrying(
        retry=retry_if_exception_type(ConflictError),
        stop=stop_after_attempt(_ATTEMPTS),
        reraise=True,
    )
    return repeat_on_conflict(
        lambda: [
            rule
            for table in TableName
            for rule in _counted_rules(family, table, with_endpoints=with_endpoints)
        ]
    )


def _counted_rules(
    family: Family, table: TableName, *, with_endpoints: bool
) -> Iterator[CountedRule]:
    layout = ENTRY_LAYOUTS[family]
    reading = TableReading(family, table, table_info(family, table))
    content = reading.content
    is_wanted = cache(is_counted)
    for place in reading.rules(lambda chain: with_endpoints or not counts_endpoints(chain)):
        if not is_wanted(table, place.target):
            continue
        rule = _rule(reading, place, family, table)
        header = bytes(content[place.offset : place.offset + layout.nfcache_offset])
        packets, _ = COUNTERS.unpack_from(content, place.offset + layout.counters_offset)
        yield CountedRule(table, place.chain, rule, header, packets)


def _rule(reading: TableReading, place: RulePlace, family: Family, table: TableName) -> Rule:
    """As much of the rule as tells what it counts for."""
    entry = bytes(reading.content[place.offset : place.end])
    target_offset = place.target_offset - place.offset
    if table is TableName.FILTER:
        return _refusal(entry, target_offset, place.target, family)
    if place.target == _DNAT:
        return Rule(TARGET_READERS[_DNAT](entry[target_offset + EXTENSION_HEADER.size :], family))
    return Rule(place.target)


def _refusal(entry: bytes, target_offset: int, target: str, family: Family) -> Rule:
    """A rule that refuses: for which address, and for which port."""
    layout = ENTRY_LAYOUTS[family]
    size = layout.address_size
    address, mask = entry[size : 2 * size], entry[3 * size : 4 * size]
    ports = []
    offset = layout.header_size
    while offset < target_offset:
        match_size, name, _ = EXTENSION_HEADER.unpack_from(entry, offset)
        protocol = name.partition(b"\0")[0].decode()
        if protocol in PROTOCOL_NUMBERS:
            data = entry[offset + EXTENSION_HEADER.size : offset + match_size]
            ports.append(MATCH_READERS[protocol](data))
        offset += match_size
    return Rule(
        Reject() if target == _REJECT else target,
        tuple(ports),
        destination=host_network(str(ip_address(address))) if all(mask) else "",
    )
