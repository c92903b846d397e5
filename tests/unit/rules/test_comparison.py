# SPDX-License-Identifier: Apache-2.0
"""Differences between the kernel's chains and the desired ones, in both forms."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from rules.comparison import ChainDifference, json_differences, unified_text
from rules.ir import Family, TableName

_LINES = st.lists(st.sampled_from("abcdefg"), unique=True).map(tuple)


def _difference(
    present: tuple[str, ...] | None, desired: tuple[str, ...] | None
) -> ChainDifference:
    return ChainDifference(Family.IPV4, TableName.NAT, "KUBE-SERVICES", present, desired)


def test_a_changed_chain_is_shown_with_what_stands_around() -> None:
    """The lines of a rule that should go, of one that should come, and of their neighbours."""
    assert unified_text([_difference(("a", "b", "c"), ("a", "x", "c"))]) == (
        "--- kernel/ipv4/nat/KUBE-SERVICES\n"
        "+++ desired/ipv4/nat/KUBE-SERVICES\n"
        "@@ -1,4 +1,4 @@\n"
        " :KUBE-SERVICES\n"
        " a\n"
        "-b\n"
        "+x\n"
        " c\n"
    )


def test_a_missing_chain_is_shown_even_if_it_is_empty() -> None:
    """It comes from nowhere, by the line that makes it."""
    assert unified_text([_difference(None, ())]) == (
        "--- /dev/null\n+++ desired/ipv4/nat/KUBE-SERVICES\n@@ -0,0 +1 @@\n+:KUBE-SERVICES\n"
    )


def test_a_stale_chain_is_shown_whole() -> None:
    """It goes, with all that stands in it."""
    assert unified_text([_difference(("a",), None)]).splitlines()[1:] == [
        "+++ /dev/null",
        "@@ -1,2 +0,0 @@",
        "-:KUBE-SERVICES",
        "-a",
    ]


def test_no_difference_is_nothing() -> None:
    """As a diff it has no line; for programs it is said."""
    assert unified_text([]) == ""
    assert json_differences([]) == {"same": True, "differences": []}


def test_programs_are_told_what_is_wrong_with_which_rule() -> None:
    """A rule in another order is neither missing nor surplus."""
    assert json_differences([_difference(("a", "b", "old"), ("b", "a", "new"))]) == {
        "same": False,
        "differences": [
            {
                "family": "ipv4",
                "table": "nat",
                "chain": "KUBE-SERVICES",
                "inKernel": True,
                "isDesired": True,
                "missing": ["new"],
                "surplus": ["old"],
                "moved": ["b"],
            }
        ],
    }


@given(_LINES, _LINES)
def test_what_is_told_explains_the_difference(
    present: tuple[str, ...], desired: tuple[str, ...]
) -> None:
    """Without surplus rules and with the missing ones the kernel has what is desired."""
    document: Any = json_differences([_difference(present, desired)])
    (found,) = document["differences"]

    assert {*present} - {*found["surplus"]} | {*found["missing"]} == {*desired}
    assert not {*found["moved"]} - ({*present} & {*desired})
    if not (found["surplus"] or found["missing"] or found["moved"]):
        assert present == desired
