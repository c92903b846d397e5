# SPDX-License-Identifier: Apache-2.0
"""The peer's input for one change."""

from __future__ import annotations

from bench.rewrite import rewrite_text
from rules.ir import Comment, Family, Rule

_STAYS = (Rule("KUBE-MARK-MASQ"),)
_BEFORE = {
    "KUBE-SVC-A": (Rule("KUBE-SEP-1", (Comment("one"),)), Rule("KUBE-SEP-2")),
    "KUBE-SEP-1": _STAYS,
    "KUBE-SEP-2": _STAYS,
}
_AFTER = {"KUBE-SVC-A": (Rule("KUBE-SEP-2"),), "KUBE-SEP-2": _STAYS}


def test_a_chain_that_is_no_longer_used_is_deleted_after_its_last_jump() -> None:
    """The changed chain is written anew, the stale one emptied and deleted, the other not named."""
    assert rewrite_text(_BEFORE, _AFTER, Family.IPV4) == (
        "*nat\n"
        ":KUBE-SVC-A - [0:0]\n"
        ":KUBE-SEP-1 - [0:0]\n"
        "-A KUBE-SVC-A -j KUBE-SEP-2\n"
        "-X KUBE-SEP-1\n"
        "COMMIT\n"
    )


def test_a_new_chain_is_created_before_it_is_jumped_to() -> None:
    """All chains are named before the first rule."""
    assert rewrite_text(_AFTER, _BEFORE, Family.IPV4) == (
        "*nat\n"
        ":KUBE-SVC-A - [0:0]\n"
        ":KUBE-SEP-1 - [0:0]\n"
        "-A KUBE-SVC-A -m comment --comment one -j KUBE-SEP-1\n"
        "-A KUBE-SVC-A -j KUBE-SEP-2\n"
        "-A KUBE-SEP-1 -j KUBE-MARK-MASQ\n"
        "COMMIT\n"
    )


def test_nothing_to_change_names_nothing() -> None:
    """Equal chains give a transaction without content."""
    assert rewrite_text(_BEFORE, dict(_BEFORE), Family.IPV4) == "*nat\nCOMMIT\n"
