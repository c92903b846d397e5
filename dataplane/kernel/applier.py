# SPDX-License-Identifier: Apache-2.0
"""Desired tables into the kernel: only what differs, one commit a table, repeated on conflict."""

from __future__ import annotations

import logging
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from tenacity import (
    Retrying,
    before_sleep_log,
    retry_if_exception_type,
    stop_after_attempt,
    wait_random_exponential,
)

from dataplane.errors import ConflictError
from dataplane.kernel.encode_chain import ChainEncoder
from dataplane.kernel.libiptc import open_table
from dataplane.kernel.snapshot import Snapshot, take_snapshot
from dataplane.kernel.table_info import TableInfo, table_info
from dataplane.kernel.transaction import (
    Changes,
    EncodedTable,
    encode_table,
    program_all,
    program_some,
    remove_all,
)
from dataplane.kernel.xtables_lock import xtables_lock
from rules.chain_groups import difference
from rules.ir import Family, Table, TableName

_log = logging.getLogger(__name__)

_ATTEMPTS: Final = 5
_LONGEST_PAUSE_SECONDS: Final = 1.0
_LARGE: Final = 5000
"""Rules; their entries take some megabytes."""

_NOTHING: Final = EncodedTable({}, {}, ())


@dataclass(frozen=True, slots=True)
class ApplyReport:
    """What one call to :meth:`TableApplier.apply` did to the kernel's table."""

    changes: Changes
    """To follow the desired table."""
    repairs: Changes
    """To bring back what somebody else had changed of ours."""

    @property
    def is_empty(self) -> bool:
        """Whether the kernel's table was left as it was."""
        return not self.changes and not self.repairs

    @property
    def is_large(self) -> bool:
        """Whether it needed much more memory for a moment than what stays."""
        return self.changes.rules + self.repairs.rules > _LARGE


class TableApplier:
    """Keeps one kernel table as desired. Not thread-safe: one thread owns it."""

    def __init__(self, family: Family, table: TableName, *, lock_timeout_seconds: float) -> None:
        self._family = family
        self._table = table
        self._lock_timeout_seconds = lock_timeout_seconds
        self._encoder = ChainEncoder(family)
        self._applied: Table | None = None
        self._info: TableInfo | None = None
        self._verified: Snapshot | None = None

    def apply(self, desired: Table, *, verify: bool = False) -> ApplyReport:
        """Make the kernel's table as desired.

        Chains are read and compared only where the desired rules changed since the last call;
        everything of ours is, if this is the first call, if the table's size shows that somebody
        else wrote to it, or with ``verify``. The kernel's table is written only if it differs.

        Raises:
            LockTimeoutError: another process keeps the xtables lock.
            CommitRefusedError: a desired rule is not acceptable to the kernel.
            ConflictError: writers who ignore the lock came in between, again and again.
            KernelError: anything else that went wrong.
            In all cases the kernel's table is as it was.
        """
        applied = self._applied
        if applied is None:
            return self._apply_first(desired)
        changed, stale = (
            ({}, ()) if applied is desired else difference(applied.chains, desired.chains)
        )
        suspicious = table_info(self._family, self._table) != self._info or (
            verify and not (self._verified and self._verified.is_current())
        )
        if not suspicious and not changed and not stale and applied.hooks == desired.hooks:
            return ApplyReport(Changes(), Changes())
        known = self._encode(applied) if suspicious else None
        wanted = encode_table(self._encoder, desired, changed)
        report = self._commit(known, wanted, stale)
        self._applied = desired
        return report

    def remove(self, table: Table) -> Changes:
        """Remove from the kernel's table all that was ever applied, as ``table`` describes it.

        Chains that others use too stay, with their rules and the jumps to them: taking away a rule
        that is equal to somebody else's would take it from him.

        Raises:
            KernelError: see :meth:`apply`.
        """
        unwanted = self._encode(_without_shared(table))
        self._applied = None
        for attempt in self._attempts():
            with (
                attempt,
                xtables_lock(self._lock_timeout_seconds),
                open_table(self._family, self._table) as handle,
            ):
                changes = remove_all(handle, unwanted)
                if changes:
                    handle.commit()
                return changes
        raise AssertionError  # tenacity re-raises the last error

    def _apply_first(self, desired: Table) -> ApplyReport:
        report = self._commit(self._encode(desired), _NOTHING, ())
        self._applied = desired
        return ApplyReport(changes=report.repairs, repairs=Changes())

    def _commit(
        self, known: EncodedTable | None, wanted: EncodedTable, stale: Collection[str]
    ) -> ApplyReport:
        """One transaction: repair everything to ``known``, then change what is ``wanted``."""
        for attempt in self._attempts():
            with (
                attempt,
                xtables_lock(self._lock_timeout_seconds),
                open_table(self._family, self._table) as handle,
            ):
                repairs = program_all(handle, known) if known is not None else Changes()
                changes = program_some(handle, wanted, stale)
                if repairs or changes:
                    handle.commit()
                self._remember(is_all_compared=known is not None, is_changed=bool(changes))
                return ApplyReport(changes, repairs)
        raise AssertionError  # tenacity re-raises the last error

    def _encode(self, table: Table) -> EncodedTable:
        return encode_table(self._encoder, table, table.chains)

    def _remember(self, *, is_all_compared: bool, is_changed: bool) -> None:
        """Note, still under the lock, how we leave the table."""
        self._info = table_info(self._family, self._table)
        if is_all_compared and self._applied is not None:
            self._verified = take_snapshot(self._family, self._table, self._info)
        elif is_changed:
            self._verified = None

    @staticmethod
    def _attempts() -> Retrying:
        return Retrying(
            retry=retry_if_exception_type(ConflictError),
            stop=stop_after_attempt(_ATTEMPTS),
            wait=wait_random_exponential(multiplier=0.01, max=_LONGEST_PAUSE_SECONDS),
            before_sleep=before_sleep_log(_log, logging.INFO),
            reraise=True,
        )


def _without_shared(table: Table) -> Table:
    shared = table.shared_chains
    hooks = tuple(
        hook for hook in table.hooks if hook.chain not in shared and hook.rule.target not in shared
    )
    return Table(table.name, table.chains, hooks)
