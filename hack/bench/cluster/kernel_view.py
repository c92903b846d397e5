# SPDX-License-Identifier: Apache-2.0
"""What the kernel of a node says about its rules, in microseconds whatever their number.

Both questions cost the asked program nothing: whether a table of legacy xtables has another size,
and what the kernel tells everybody about transactions of nftables.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Final

from dataplane.kernel.table_info import table_info
from lab import Host
from rules.ir import Family, TableName
from rules.model import ObjectKey

_NETLINK_NETFILTER: Final = 12
_NFTABLES_GROUP: Final = 1 << 6
"""NFNLGRP_NFTABLES, which is 7, as a bit."""
_BUFFER_BYTES: Final = 1 << 24
"""For what one transaction may tell at once."""


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

    watching: Callable[[ObjectKey], AbstractContextManager[Callable[[], bool]]]
    """In the block, tells whether other rules for the endpoints of a Service are in force."""
    listing: tuple[str, ...]
    """The command that prints all rules for Services."""
    sizes: Callable[[], TableSizes] | None
    """None where the kernel does not tell."""

    def missing_vips(self, machine: Host, addresses: frozenset[str]) -> frozenset[str]:
        """Those of ``addresses`` that no rule names."""
        listed = machine.run(self.listing, timeout_seconds=300.0).stdout
        return addresses - set(re.findall(r"\d+\.\d+\.\d+\.\d+", listed))


@contextmanager
def _watching_table(_service: ObjectKey) -> Iterator[Callable[[], bool]]:
    """An endpoint less or more is a smaller or larger table, in any layout."""

    def size() -> tuple[int, int]:
        info = table_info(Family.IPV4, TableName.NAT)
        return info.entries, info.size

    before = size()
    yield lambda: size() != before


@contextmanager
def _watching_chain(service: ObjectKey) -> Iterator[Callable[[], bool]]:
    """A Service's chain has its name. Chains of endpoints are removed later, which is no effect."""
    chain = re.compile(rb"service-[A-Z0-9]+-" + re.escape(str(service)).encode())
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_NETFILTER) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
        sock.bind((0, _NFTABLES_GROUP))
        sock.settimeout(0)

        def is_changed() -> bool:
            try:
                while not chain.search(sock.recv(_BUFFER_BYTES)):
                    pass
            except BlockingIOError:
                return False
            return True

        yield is_changed


def _sizes() -> TableSizes:
    nat, filters = (table_info(Family.IPV4, table) for table in (TableName.NAT, TableName.FILTER))
    return TableSizes(nat.entries, nat.size, filters.entries, filters.size)


LEGACY: Final = KernelView(_watching_table, ("iptables-legacy-save", "-t", "nat"), _sizes)
NFTABLES: Final = KernelView(_watching_chain, ("nft", "list", "table", "ip", "kube-proxy"), None)
