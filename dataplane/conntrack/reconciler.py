# SPDX-License-Identifier: Apache-2.0
"""Deletes conntrack entries that lead flows past the rules of now."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from threading import Lock
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
    """Knows what was served when it last looked at the table, and what has changed since.

    That memory begins with the process: which Services were deleted while no agent ran nobody can
    tell, and flows to them end when their clients pause for as long as nf_conntrack_udp_timeout.

    Changes may be noted in one thread while another looks at the table.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._known: dict[Family, FlowTargets] = {}
        self._changes: Counter[Family] = Counter()
        """Changes noted that can have left stale flows behind."""
        self._handled: Counter[Family] = Counter()
        """As many of them as passes have looked after."""

    def note(self, family: Family, targets: FlowTargets) -> bool:
        """Note that the rules for ``targets`` stand now, and tell whether a pass is due.

        It is if flows can have become stale, now or at a time that no pass has looked after yet.
        """
        with self._lock:
            known = self._known.get(family)
            self._changes[family] += needs_reconcile(known, targets)
            is_due = self._is_due(family)
            self._known[family] = targets.remembering(known) if known and is_due else targets
            return is_due

    def run(self, family: Family) -> ReconcileReport | None:
        """Delete what is stale by what was noted last; None if no pass is due.

        Raises:
            KernelError: the table or the node's addresses cannot be read, or an entry not deleted.
                The pass stays due.
        """
        with self._lock:
            if not self._is_due(family):
                return None
            targets = self._known[family]
            changes = self._changes[family]
        started = monotonic()
        deleted = delete_entries(family, _stale_entries(family, targets))
        with self._lock:
            self._handled[family] = changes
            if not self._is_due(family):
                self._known[family] = replace(self._known[family], former=frozenset())
        return ReconcileReport(deleted, monotonic() - started)

    def _is_due(self, family: Family) -> bool:
        return self._handled[family] < self._changes[family]


def _stale_entries(family: Family, targets: FlowTargets) -> Iterator[bytes]:
    local_addresses = frozenset(interface_addresses())

    def is_stale(flow: Flow) -> bool:
        return targets.is_stale(flow, local_addresses)

    for protocol in sorted(targets.protocols):
        yield from find_entries(family, protocol, targets.ports, is_stale)
