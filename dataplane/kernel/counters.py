# SPDX-License-Identifier: Apache-2.0
"""The packet counters of the rules that count for service ports, read without libiptc.

Only read, so without the xtables lock; reading costs packets nothing. A rule that libiptc keeps in
a commit keeps its counter, with what it counted during the commit.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from struct import Struct
from typing import Final

from tenacity import Retrying, retry_if_exception_type, stop_after_attempt

from dataplane.errors import ConflictError
from dataplane.kernel.decode import Decoder
from dataplane.kernel.decode_extensions import TARGET_READERS
from dataplane.kernel.layout import ENTRY_LAYOUTS, EXTENSION_HEADER
from dataplane.kernel.table_info import table_info
from dataplane.kernel.table_reading import RulePlace, TableReading
from rules.ir import Family, Rule, TableName
from rules.traffic.accounts import is_counted
from rules.traffic.tally import CountedRule

_ATTEMPTS: Final = 5
_PACKETS: Final = Struct("=Q")
_DNAT: Final = "DNAT"


def counted_rules(family: Family) -> list[CountedRule]:
    """All rules of both tables that may count for service ports, with their counters.

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
        lambda: [rule for table in TableName for rule in _counted_rules(family, table)]
    )


def _counted_rules(family: Family, table: TableName) -> Iterator[CountedRule]:
    layout = ENTRY_LAYOUTS[family]
    reading = TableReading(family, table, table_info(family, table))
    content = reading.content
    is_wanted = cache(is_counted)
    for place in reading.rules():
        if not is_wanted(table, place.target):
            continue
        rule = _rule(reading, place, family, table)
        if rule is not None:
            start = place.offset
            header = bytes(content[start : start + layout.nfcache_offset])
            (packets,) = _PACKETS.unpack_from(content, start + layout.counters_offset)
            yield CountedRule(table, place.chain, rule, header, packets)


def _rule(reading: TableReading, place: RulePlace, family: Family, table: TableName) -> Rule | None:
    """The rule, as much of it as tells what it counts for; None if it is none of ours."""
    if table is TableName.FILTER:
        decoded = Decoder(family).rule(reading.entry(place))
        return decoded if isinstance(decoded, Rule) else None
    if place.target != _DNAT:
        return Rule(place.target)
    data = bytes(reading.content[place.target_offset + EXTENSION_HEADER.size : place.end])
    return Rule(TARGET_READERS[_DNAT](data, family))
