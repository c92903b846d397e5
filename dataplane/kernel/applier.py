# SPDX-License-Identifier: Apache-2.0
"""Desired tables into the kernel: only what differs, one commit a table, repeated on conflict."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Final, Protocol

from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    stop_after_attempt,
    wait_random_exponential,
)

from dataplane.errors import ConflictError, UnacceptableRulesError
from dataplane.kernel.client_sets import ClientSets
from dataplane.kernel.encode import NO_SETS
from dataplane.kernel.encode_chain import ChainEncoder
from dataplane.kernel.inspection import chains_as_desired, is_as_desired
from dataplane.kernel.libiptc import open_table
from dataplane.kernel.retention import NOTHING, Retention
from dataplane.kernel.snapshot import Snapshot, take_snapshot
from dataplane.kernel.table_info import TableInfo, table_info
from dataplane.kernel.table_reading import TableReading
from dataplane.kernel.table_times import NO_TIME, StopWatch, TableTimes
from dataplane.kernel.transaction import Changes, Transaction
from dataplane.kernel.xtables_lock import xtables_lock
from rules.chain_groups import Difference, difference
from rules.ir import ClientSet, Family, Table, TableName

_log = logging.getLogger(__name__)

_ATTEMPTS: Final = 5
_LONGEST_PAUSE_SECONDS: Final = 1.0
_LARGE: Final = 5000
"""Rules; libiptc takes some megabytes for them while it works."""

_NO_DIFFERENCE: Final = Difference({}, ())
_TABLE_OF_SETS: Final = TableName.NAT
"""The table whose rules name sets: its applier has all of them to itself."""

_Step = Callable[[Transaction], None]


class TableObserver(Protocol):
    """Is told how the tables are reached."""

    def lock_waited(self, seconds: float) -> None:
        """The xtables lock was had, or given up, after ``seconds``."""

    def commit_conflicted(self, family: Family, table: TableName) -> None:
        """Somebody else wrote to a table between our read and our commit."""


class _Unobserved:
    def lock_waited(self, seconds: float) -> None:
        pass

    def commit_conflicted(self, family: Family, table: TableName) -> None:
        pass


UNOBSERVED: Final[TableObserver] = _Unobserved()
"""For whom it is enough to see the result."""


@dataclass(frozen=True, slots=True)
class ApplyReport:
    """What one call to :meth:`TableApplier.apply` did to the kernel's table."""

    changes: Changes
    """To follow the desired table."""
    repairs: Changes
    """To bring back what somebody else had changed of ours."""
    rules: int
    """All of ours that stand in the table now, hooks aside."""
    chains: int
    """All of ours that stand in the table now."""
    times: TableTimes = NO_TIME

    def after(self, earlier: ApplyReport) -> ApplyReport:
        """What ``earlier`` and this call did together."""
        return replace(
            self,
            changes=earlier.changes + self.changes,
            repairs=earlier.repairs + self.repairs,
            times=earlier.times + self.times,
        )

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

    def __init__(
        self,
        family: Family,
        table: TableName,
        *,
        lock_timeout_seconds: float,
        observer: TableObserver = UNOBSERVED,
    ) -> None:
        self._family = family
        self._table = table
        self._lock_timeout_seconds = lock_timeout_seconds
        self._observer = observer
        self._sets = ClientSets(family) if table is _TABLE_OF_SETS else None
        self._encoder = ChainEncoder(family, self._sets.indices if self._sets else NO_SETS)
        self._applied: Table | None = None
        self._rules = self._chains = 0
        self._info: TableInfo | None = None
        self._verified: Snapshot | None = None
        self._retention = NOTHING
        self._watch = StopWatch()

    def prepare(self, sets: Iterable[ClientSet]) -> None:
        """Begin to make sets that rules of the next table will name, beside the calling thread."""
        if self._sets:
            self._sets.prepare(sets)

    def apply(
        self, desired: Table, *, verify: bool = False, retention: Retention = NOTHING
    ) -> ApplyReport:
        """Make the kernel's table as desired.

        Chains are read and compared only where the desired rules changed since the last call;
        everything of ours is, if this is the first call, if the table's size shows that somebody
        else wrote to it, or with ``verify``. The kernel's table is written only if it differs.
        What an earlier agent left stays as far as ``retention`` says, and goes when it no longer
        does. Sets are made before the rules that name them, and emptied and destroyed after them.

        Raises:
            LockTimeoutError: another process keeps the xtables lock.
            UnacceptableRulesError: a desired rule cannot stand in the kernel.
            ConflictError: writers who ignore the lock came in between, again and again.
            KernelError: anything else that went wrong.
            In all cases the kernel's table is as it was.
        """
        self._watch = StopWatch()
        applied = self._applied
        try:
            if applied is None or not retention.includes(self._retention):
                self._provide_sets(desired, is_sure=False)
                report = self._program(desired, retention)
            else:
                is_suspicious = self._is_suspicious(applied, retention, verify=verify)
                self._provide_sets(applied, desired, is_sure=not is_suspicious)
                report = self._follow(applied, desired, retention, is_suspicious=is_suspicious)
        except UnacceptableRulesError:
            # Maybe since a set is gone that no rule had named yet.
            self._doubt_sets()
            raise
        if self._sets and not retention.is_total:
            # What is retained may name sets that nobody else wants, and serve their clients.
            self._sets.withdraw(desired.client_sets, is_emptying=not retention)
        self._applied, self._retention = desired, retention
        return replace(report, times=self._watch.read())

    def remove(self, table: Table) -> Changes:
        """Remove from the kernel's table all that was ever applied, as ``table`` describes it.

        Chains that others use too stay, with their rules and the jumps to them: taking away a rule
        that is equal to somebody else's would take it from him.

        Raises:
            KernelError: see :meth:`apply`.
        """
        self._applied = self._verified = None
        unshared = _without_shared(table)
        (changes,) = self._transact(lambda transaction: transaction.remove_all(unshared))
        if self._sets:
            self._doubt_sets()
            self._sets.destroy_all()
        return changes

    def _provide_sets(self, *tables: Table, is_sure: bool) -> None:
        if self._sets:
            if not is_sure:
                self._sets.doubt()
            self._sets.provide(one for table in tables for one in table.client_sets)

    def _doubt_sets(self) -> None:
        if self._sets:
            self._sets.doubt()

    def _program(self, desired: Table, retention: Retention) -> ApplyReport:
        """Make our part of the table as desired without knowing what stands there."""
        (changes,) = self._transact(unknown=desired, retention=retention)
        self._rules = sum(map(len, desired.chains.values()))
        self._chains = len(desired.chains)
        return self._report(changes)

    def _follow(
        self, applied: Table, desired: Table, retention: Retention, *, is_suspicious: bool
    ) -> ApplyReport:
        """Change what differs from ``applied``; if suspicious, first repair all of that."""
        changed, stale = (
            _NO_DIFFERENCE if applied is desired else difference(applied.chains, desired.chains)
        )
        if not is_suspicious and not changed and not stale and applied.hooks == desired.hooks:
            return self._report(Changes())
        self._verified = None

        def change(transaction: Transaction) -> None:
            transaction.program_some(desired, changed, stale)

        repairs = Changes()
        if is_suspicious:
            repairs, changes = self._transact(
                change, unknown=applied, retention=retention, is_remembered=True
            )
        else:
            (changes,) = self._transact(change, retention=retention)
        self._rules += changes.rules_added - changes.rules_deleted
        self._chains += changes.chains_created - changes.chains_deleted
        return self._report(changes, repairs)

    def _report(self, changes: Changes, repairs: Changes | None = None) -> ApplyReport:
        return ApplyReport(changes, repairs or Changes(), self._rules, self._chains)

    def _is_suspicious(self, applied: Table, retention: Retention, *, verify: bool) -> bool:
        """Whether somebody else has changed something of ours since our last look."""
        info = table_info(self._family, self._table)
        if info == self._info and not (verify and not self._is_known_to_be_right()):
            return False
        try:
            with self._watch.kernel():
                reading = TableReading(self._family, self._table, info)
            if not is_as_desired(reading, applied, self._encoder, retention):
                return True
        except ConflictError:
            return True
        self._info = info
        self._verified = Snapshot(self._family, self._table, info, reading)
        return False

    def _is_known_to_be_right(self) -> bool:
        return self._verified is not None and self._verified.is_current()

    def _transact(
        self,
        *steps: _Step,
        unknown: Table | None = None,
        retention: Retention = NOTHING,
        is_remembered: bool = False,
    ) -> list[Changes]:
        """Do ``steps`` in one transaction; returns what each of them changed.

        Before them comes another one, if nobody knows how much of a table stands: to make all of
        it so. What stands afterwards is known then, and can be remembered.
        """
        repeat_on_conflict = Retrying(
            retry=retry_if_exception_type(ConflictError),
            stop=stop_after_attempt(_ATTEMPTS),
            wait=wait_random_exponential(multiplier=0.01, max=_LONGEST_PAUSE_SECONDS),
            before_sleep=self._note_conflict,
            reraise=True,
        )
        return repeat_on_conflict(
            self._try_to_transact, steps, unknown, retention, is_remembered=is_remembered
        )

    def _try_to_transact(
        self,
        steps: Sequence[_Step],
        unknown: Table | None,
        retention: Retention,
        *,
        is_remembered: bool,
    ) -> list[Changes]:
        with xtables_lock(self._lock_timeout_seconds, self._note_lock_waited):
            if unknown is not None:
                steps = (self._completion_of(unknown, retention), *steps)
            with ExitStack() as opened:
                with self._watch.kernel():
                    handle = opened.enter_context(open_table(self._family, self._table))
                changes = []
                for step in steps:
                    transaction = Transaction(handle, self._encoder, retention)
                    step(transaction)
                    changes.append(transaction.changes)
                if any(changes):
                    with self._watch.kernel():
                        handle.commit()
            # Still under the lock: how we leave the table.
            self._info = table_info(self._family, self._table)
            if is_remembered:
                self._verified = take_snapshot(self._family, self._table, self._info)
            return changes

    def _completion_of(self, table: Table, retention: Retention) -> _Step:
        """How to make all of ``table`` stand, whatever stands by now.

        An agent that starts again finds nearly all of it. Chains that are right are seen in a
        reading of the table many times sooner than by comparing what libiptc makes of them.
        """
        try:
            with self._watch.kernel():
                info = table_info(self._family, self._table)
                reading = TableReading(self._family, self._table, info)
            right = chains_as_desired(reading, table, self._encoder, retention)
        except ConflictError:
            right = frozenset()
        return lambda transaction: transaction.program_all(table, right=right)

    def _note_lock_waited(self, seconds: float) -> None:
        self._watch.lock_waited(seconds)
        self._observer.lock_waited(seconds)

    def _note_conflict(self, attempt: RetryCallState) -> None:
        self._observer.commit_conflicted(self._family, self._table)
        if attempt.outcome is not None:
            _log.info("%s; trying again", attempt.outcome.exception())


def _without_shared(table: Table) -> Table:
    shared = table.shared_chains
    hooks = tuple(
        hook for hook in table.hooks if hook.chain not in shared and hook.rule.target not in shared
    )
    return Table(table.name, table.chains, hooks)
