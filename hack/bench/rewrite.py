# SPDX-License-Identifier: Apache-2.0
"""What ``iptables-restore --noflush`` has to read to follow a change of one Service.

Only chains that differ are named, as kube-proxy does it: naming a chain empties it, and what no
rule leads to any more is deleted.
"""

from __future__ import annotations

from collections.abc import Mapping

from rules.ir import Family, Rules
from rules.text import save_rule


def rewrite_text(before: Mapping[str, Rules], after: Mapping[str, Rules], family: Family) -> str:
    """The input that turns a Service's chains of nat from ``before`` into ``after``."""
    changed = [chain for chain, rules in after.items() if before.get(chain) != rules]
    gone = [chain for chain in before if chain not in after]
    return "\n".join(
        (
            "*nat",
            *(f":{chain} - [0:0]" for chain in (*changed, *gone)),
            *(save_rule(chain, rule, family) for chain in changed for rule in after[chain]),
            *(f"-X {chain}" for chain in gone),
            "COMMIT",
            "",
        )
    )
