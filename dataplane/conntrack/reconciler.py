# SPDX-License-Identifier: Apache-2.0
"""Deletes conntrack entries that lead flows past the rules of now."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from time import monotonic

from dataplane.conntrack.table import delete_entries, find_entries
from dataplane.node_ports import interface_addresses
from rules.flows import Flow, FlowTargets, needs_reconcile
from rules.ir import Family


@dataclass(frozen=True, slots=True)
class ReconcileReport:
    """What one pass over a family's entries did."""

    deleted: int
    seconds: float


class ConntrackReconciler:
    """Knows what was served when it last looked. Owned by one thread.

    That memory begins with the process: which Services were deleted while no agent ran nobody can
    tell, and flows to them end when their clients pause for as long as nf_conntrack_udp_timeout.
    """

    def __init__(self) -> None:
        self._known: dict[Family, FlowTargets] = {}
        self._unfinished: set[Family] = set()

    def reconcile(self, family: Family, targets: FlowTargets) -> ReconcileReport | None:
        """Delete what is stale now that the rules for ``targets`` stand.

        Returns None, without a look at the table, if nothing can have become stale since the last
        call. After a failure the next call makes up for it.

        Raises:
            KernelError: the table or the node's addresses cannot be read, or an entry not deleted.
        """
        known = self._known.get(family)
        if family not in self._unfinished and not needs_reconcile(known, targets):
            self._known[family] = targets
            return None
        wanted = targets if known is None else targets.remembering(known)
        self._known[family] = wanted
        self._unfinished.add(family)
        started = monotonic()
        deleted = delete_entries(family, _stale_entries(family, wanted))
        self._unfinished.remove(family)
        self._known[family] = targets
        return ReconcileReport(deleted, monotonic() - started)


def _stale_entries(family: Family, targets: FlowTargets) -> Iterator[bytes]:
    local_addresses = frozenset(interface_addresses())

    def is_stale(flow: Flow) -> bool:
        return targets.is_stale(flow, local_addresses)

    for protocol in sorted(targets.protocols):
        yield from find_entries(family, protocol, targets.ports, is_stale)
