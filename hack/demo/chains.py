# SPDX-License-Identifier: Apache-2.0
"""What the node's kernel holds, as iptables tells it."""

from __future__ import annotations

import re

from lab import Host


def listing_command(chain: str, table: str = "nat") -> list[str]:
    """Return the command that lists a chain with its counters."""
    return ["iptables-legacy", "-w", "-t", table, "-nvL", chain]


def saved_rules(node: Host) -> str:
    """Return all IPv4 tables as ``iptables-save`` prints them."""
    return node.run(["iptables-legacy-save"]).stdout


def kubernetes_chains(node: Host) -> set[str]:
    """Return the names of all chains that are Kubernetes' by name, of both families."""
    saved = saved_rules(node) + node.run(["ip6tables-legacy-save"]).stdout
    return set(re.findall(r"^:(KUBE-\S+)", saved, re.MULTILINE))


def packets(node: Host, chain: str, target: str, table: str = "nat") -> int:
    """Return how many packets went from ``chain`` to ``target``."""
    listing = node.run(["iptables-legacy", "-w", "-t", table, "-nvxL", chain]).stdout
    rules = (line.split() for line in listing.splitlines()[2:])
    return sum(int(count) for count, _, to, *_ in rules if to == target)
