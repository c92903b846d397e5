# SPDX-License-Identifier: Apache-2.0
"""What must be true of the kernel's rules at every moment, whoever was killed the moment before."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from tests.faults.stand import Contents

_TARGET: Final = re.compile(r" -j (KUBE-\S+)")
_PROBABILITY: Final = re.compile(r"--probability (\S+)")
_CHANGING: Final = ("KUBE-SVC-", "KUBE-SEP-", "KUBE-SERVICES")


def fixed_rules(contents: Contents) -> Contents:
    """The chains that no change of a service touches."""
    return {place: rules for place, rules in contents.items() if not place[1].startswith(_CHANGING)}


def flaws(contents: Contents) -> Iterator[str]:
    """What is torn in one family's tables."""
    targets = {
        (table, target)
        for (table, _), rules in contents.items()
        for rule in rules
        for target in _TARGET.findall(rule)
    }
    yield from (f"{place} is missing" for place in targets - contents.keys())
    for place, rules in contents.items():
        _, chain = place
        if not chain.startswith(("KUBE-SVC-", "KUBE-SEP-")):
            continue
        if place not in targets:
            yield f"{chain} is left over"
        if chain.startswith("KUBE-SEP-"):
            if sum("-j DNAT" in rule for rule in rules) != 1:
                yield f"{chain} has not one destination: {rules}"
        else:
            yield from _unfair(chain, rules)


def _unfair(chain: str, rules: list[str]) -> Iterator[str]:
    """Endpoints are chosen with 1/n, 1/(n-1), ..., 1/2 and then always."""
    choices = [rule for rule in rules if " -j KUBE-SEP-" in rule]
    found = [
        float(match.group(1)) if (match := _PROBABILITY.search(rule)) else 1.0 for rule in choices
    ]
    expected = [1 / left for left in range(len(choices), 0, -1)]
    if not choices or any(abs(one - two) > 1e-6 for one, two in zip(found, expected, strict=True)):
        yield f"{chain} is not complete: {rules}"
