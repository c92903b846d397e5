# SPDX-License-Identifier: Apache-2.0
"""How a chain in the kernel differs from what it should be, for people and for programs.

Chains are given as lines of ``iptables-save``. The JSON form is stable: fields may be added, none
is renamed or removed::

    {"same": BOOL,
     "differences": [{"family": FAMILY, "table": TABLE, "chain": NAME,
                      "inKernel": BOOL, "isDesired": BOOL,
                      "missing": [LINE...], "surplus": [LINE...], "moved": [LINE...]}...]}

``missing`` rules are desired and not in the kernel, ``surplus`` ones the other way round, and
``moved`` ones stand in another order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import unified_diff

from rules.diff import edits
from rules.ir import Family, TableName
from rules.jsonform import JsonObject

_NO_FILE = "/dev/null"


@dataclass(frozen=True, slots=True)
class ChainDifference:
    """A chain that is not what it should be."""

    family: Family
    table: TableName
    chain: str
    present: tuple[str, ...] | None
    """Its rules in the kernel; None if there is no such chain."""
    desired: tuple[str, ...] | None
    """The rules that it should have; None if there should be no such chain."""


def unified_text(differences: Iterable[ChainDifference]) -> str:
    """All ``differences`` as one unified diff: what to add to the kernel, and what to remove."""
    return "".join(f"{line}\n" for one in differences for line in _unified_lines(one))


def json_differences(differences: Iterable[ChainDifference]) -> JsonObject:
    """All ``differences``, with the rules sorted by what is wrong with them."""
    found = [_json_difference(one) for one in differences]
    return {"same": not found, "differences": found}


def _unified_lines(one: ChainDifference) -> Iterator[str]:
    name = f"{one.family.value}/{one.table.value}/{one.chain}"
    return unified_diff(
        _with_declaration(one.chain, one.present),
        _with_declaration(one.chain, one.desired),
        _NO_FILE if one.present is None else f"kernel/{name}",
        _NO_FILE if one.desired is None else f"desired/{name}",
        lineterm="",
    )


def _with_declaration(chain: str, lines: Sequence[str] | None) -> Sequence[str]:
    """The chain with the line that makes it, by which an empty one differs from none."""
    return () if lines is None else (f":{chain}", *lines)


def _json_difference(one: ChainDifference) -> JsonObject:
    present, desired = one.present or (), one.desired or ()
    steps = edits(present, desired)
    inserted = Counter(step.value for step in steps if step.value is not None)
    missing = Counter(desired) - Counter(present)
    return {
        "family": one.family.value,
        "table": one.table.value,
        "chain": one.chain,
        "inKernel": one.present is not None,
        "isDesired": one.desired is not None,
        "missing": list(missing.elements()),
        "surplus": list((Counter(present) - Counter(desired)).elements()),
        "moved": list((inserted - missing).elements()),
    }
