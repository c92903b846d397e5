# SPDX-License-Identifier: Apache-2.0
"""Rules of the other iptables variant: what ``iptables-nft`` programs, which this agent does not.

Both variants act on every packet. What is accepted by one may still be dropped by the other, and of
two translations the one whose table was registered last wins, which changes with the order in which
programs started. So an operator has to know when both are in use.

Kubelet leaves a mark in the mangle table of the variant that the node's own tools use.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pyroute2 import NetlinkError
from pyroute2.nftables.main import NFTables

from rules import names
from rules.ir import Family

_NFGEN_FAMILIES: Final = {Family.IPV4: 2, Family.IPV6: 10}
_KUBELET_MARKS: Final = frozenset({"KUBE-IPTABLES-HINT", "KUBE-KUBELET-CANARY"})
_SERVICE_TABLE: Final = "nat"


def nft_findings(family: Family) -> Iterator[str]:
    """What of Kubernetes stands in nftables, and what it means, in sentences.

    Nothing is found where the kernel has no nftables or does not let us look.
    """
    try:
        with NFTables(nfgen_family=_NFGEN_FAMILIES[family]) as nftables:
            chains = {
                (chain.get_attr("NFTA_CHAIN_TABLE"), chain.get_attr("NFTA_CHAIN_NAME"))
                for chain in nftables.get_chains()
            }
    except (OSError, NetlinkError):
        return
    if (_SERVICE_TABLE, names.SERVICES) in chains:
        yield (
            f"another service proxy left {family.value} rules in nftables (chain {names.SERVICES} "
            "of iptables-nft): they act besides ours, and which of them translates a packet is a "
            "matter of chance; remove them with that proxy's clean-up (kube-proxy --cleanup)"
        )
    marks = sorted(name for _, name in chains if name in _KUBELET_MARKS)
    if marks:
        yield (
            f"this node's kubelet uses iptables-nft ({family.value} chain {marks[0]}), this agent "
            "legacy xtables: packets meet the rules of both, so that a packet which either drops "
            "is dropped; let the node's iptables be iptables-legacy if services do not answer"
        )
