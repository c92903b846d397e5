# SPDX-License-Identifier: Apache-2.0
"""The one thing that kube-proxy leaves outside of the tables that are ours.

By a chain in three tables it notices that they were flushed. Those in nat and filter go with what
it left there; this is about mangle.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from dataplane.errors import ChainInUseError
from dataplane.kernel.libiptc import ForeignTable, open_table
from dataplane.kernel.xtables_lock import xtables_lock
from rules import names
from rules.ir import Family

_TABLES_IN_USE: Final = {
    Family.IPV4: Path("/proc/thread-self/net/ip_tables_names"),
    Family.IPV6: Path("/proc/thread-self/net/ip6_tables_names"),
}


def remove_canary(family: Family, *, lock_timeout_seconds: float) -> bool:
    """Remove kube-proxy's chain from mangle, if it is empty and unused; whether it was removed.

    Raises:
        KernelError: the table cannot be read or written now; it is as it was.
    """
    if not _is_in_use(family, ForeignTable.MANGLE):
        return False
    with (
        xtables_lock(lock_timeout_seconds),
        open_table(family, ForeignTable.MANGLE) as handle,
    ):
        if not handle.has_chain(names.KUBE_PROXY_CANARY) or handle.count(names.KUBE_PROXY_CANARY):
            return False
        try:
            handle.delete_chain(names.KUBE_PROXY_CANARY)
        except ChainInUseError:
            return False
        handle.commit()
        return True


def _is_in_use(family: Family, table: ForeignTable) -> bool:
    """Whether anybody has used ``table`` so far; to read it would be to begin with it."""
    try:
        return table.value in _TABLES_IN_USE[family].read_text().split()
    except OSError:
        return False
