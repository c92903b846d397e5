# SPDX-License-Identifier: Apache-2.0
"""What the kernel of a node says about its rules, in microseconds whatever their number.

Both questions cost the asked program nothing: the size of a table of legacy xtables, and the
generation of nftables' rules, which grows with each transaction.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from struct import Struct
from typing import Final

from bench.errors import BenchError
from dataplane.kernel.table_info import table_info
from lab import Host
from rules.ir import Family, TableName

_NETLINK_NETFILTER: Final = 12
_GET_GENERATION: Final = 10 << 8 | 16
"""NFT_MSG_GETGEN of the subsystem NFNL_SUBSYS_NFTABLES."""
_REQUEST: Final = 1
_ERROR: Final = 2
_QUESTION: Final = Struct("=IHHIIBBH")
"""nlmsghdr and nfgenmsg."""
_GENERATION: Final = Struct(">I")
_ATTRIBUTE_HEADER: Final = 4


@dataclass(frozen=True, slots=True)
class TableSizes:
    """How large the rules are, as the kernel counts them."""

    nat_entries: int
    nat_bytes: int
    filter_entries: int
    filter_bytes: int


@dataclass(frozen=True, slots=True)
class KernelView:
    """How to look at the rules of one contender, from the machine that the thread has entered."""

    version: Callable[[], Hashable]
    """Differs once other rules are in force."""
    listing: tuple[str, ...]
    """The command that prints all rules for Services."""
    sizes: Callable[[], TableSizes] | None
    """None where the kernel does not tell."""

    def missing_vips(self, machine: Host, addresses: frozenset[str]) -> frozenset[str]:
        """Those of ``addresses`` that no rule names."""
        listed = machine.run(self.listing, timeout_seconds=300.0).stdout
        return addresses - set(re.findall(r"\d+\.\d+\.\d+\.\d+", listed))


def _table_version() -> Hashable:
    info = table_info(Family.IPV4, TableName.NAT)
    return info.entries, info.size


def _sizes() -> TableSizes:
    nat, filters = (table_info(Family.IPV4, table) for table in (TableName.NAT, TableName.FILTER))
    return TableSizes(nat.entries, nat.size, filters.entries, filters.size)


def _generation() -> Hashable:
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_NETFILTER) as sock:
        sock.bind((0, 0))
        sock.send(_QUESTION.pack(_QUESTION.size, _GET_GENERATION, _REQUEST, 1, 0, 0, 0, 0))
        answer = sock.recv(4096)
    if _QUESTION.unpack_from(answer)[1] == _ERROR:
        raise BenchError("this kernel has no nftables: leave out kube-proxy's nftables mode")
    (generation,) = _GENERATION.unpack_from(answer, _QUESTION.size + _ATTRIBUTE_HEADER)
    return int(generation)


LEGACY: Final = KernelView(_table_version, ("iptables-legacy-save", "-t", "nat"), _sizes)
NFTABLES: Final = KernelView(_generation, ("nft", "list", "table", "ip", "kube-proxy"), None)
