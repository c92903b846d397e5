# SPDX-License-Identifier: Apache-2.0
"""One pass: from what is known of the cluster to what stands in the kernel."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from time import monotonic
from typing import Final

from dataplane.errors import UnacceptableRulesError
from dataplane.kernel.applier import UNOBSERVED, ApplyReport, TableApplier, TableObserver
from dataplane.kernel.retention import EVERYTHING, Retention
from dataplane.memory import many_values, settle
from rules import names
from rules.build import ServiceBuilder
from rules.compose import TableComposer
from rules.context import FamilyContext
from rules.ir import Family, Rule, TableName, Tables
from rules.model import ObjectKey, ServiceState
from rules.service import NO_FINDINGS, NO_RULES, Findings, ServiceRules, ServicesRules, findings

_FILTER_FIRST: Final = (TableName.FILTER, TableName.NAT)
_NAT_FIRST: Final = (TableName.NAT, TableName.FILTER)

Reports = Mapping[TableName, ApplyReport]
"""What was done to each table."""


@dataclass(frozen=True, slots=True)
class FamilyReport:
    """What one pass did for one family."""

    tables: Reports
    desired: Tables
    """What stands in the kernel by now, as far as it is ours."""
    build_seconds: float = 0.0
    apply_seconds: float = 0.0
    set_aside: Mapping[ObjectKey, str] = field(default_factory=dict)
    """Services whose rules the kernel or our own checks do not accept, with the reason."""
    findings: Findings = NO_FINDINGS

    @property
    def has_changes(self) -> bool:
        """Whether the kernel's rules did not follow the Services yet."""
        return any(report.changes for report in self.tables.values())

    @property
    def has_repairs(self) -> bool:
        """Whether somebody else had changed our rules."""
        return any(report.repairs for report in self.tables.values())


class FamilySync:
    """Keeps the tables of one family as the Services want them. Owned by one thread."""

    def __init__(
        self,
        family: Family,
        *,
        lock_timeout_seconds: float,
        observer: TableObserver = UNOBSERVED,
    ) -> None:
        self._appliers = {
            table: TableApplier(
                family, table, lock_timeout_seconds=lock_timeout_seconds, observer=observer
            )
            for table in TableName
        }
        self._builder: ServiceBuilder | None = None
        self._committed: ServicesRules = {}
        self._is_programmed = False
        self._composer: TableComposer | None = None
        self._composed: tuple[ServicesRules, Tables] | None = None
        self._set_aside: dict[ObjectKey, tuple[ServiceRules, str]] = {}
        self._built: ServicesRules = {}
        self._findings = NO_FINDINGS
        self._is_taking_over = True
        """Until all that is acceptable stood once: the kernel may hold what others left."""
        self._served_by_others: frozenset[ObjectKey] = frozenset()
        """Services that were set aside then: what others left may be all that serves them."""

    def sync(
        self,
        services: Mapping[ObjectKey, ServiceState],
        context: FamilyContext,
        *,
        verify: bool = False,
    ) -> FamilyReport:
        """Program the rules of ``services``; ``verify`` looks at all that should stand already.

        Services with rules that cannot stand in the kernel are set aside: what it held of them
        before stays, everything else is applied. They are tried again when they change and with
        each ``verify``.

        Raises:
            KernelError: a table could not be programmed and is as it was; the one before it may
                have been.
        """
        started = monotonic()
        with many_values():
            if self._builder is None or self._builder.context != context:
                self._builder = ServiceBuilder(context, self._committed)
                self._prepare_sets(self._builder, services)
            built = self._build(self._builder, services)
            built_at = monotonic()
            if verify:
                self._set_aside.clear()
            reports = self._program_or_set_aside(
                self._with_substitutes(built), context, verify=verify
            )
            if self._is_taking_over:
                self._is_taking_over = False
                self._served_by_others = frozenset(self._set_aside)
            if any(report.is_large for report in reports.values()):
                settle()
        refused = {key: reason for key, (_, reason) in self._set_aside.items()}
        return FamilyReport(
            reports,
            self._compose(self._committed, context),
            built_at - started,
            monotonic() - built_at,
            {**self._builder.broken, **refused},
            self._findings,
        )

    def _prepare_sets(
        self, builder: ServiceBuilder, services: Mapping[ObjectKey, ServiceState]
    ) -> None:
        """Let the kernel make the sets of session affinity while the other Services are built."""
        if self._is_programmed:
            return
        built = builder.build(
            {
                key: state
                for key, state in services.items()
                if state.service.affinity_seconds is not None
            }
        )
        sets = [one for rules in built.values() for one in rules.client_sets]
        if sets:
            self._appliers[TableName.NAT].prepare(sets)

    def _build(
        self, builder: ServiceBuilder, services: Mapping[ObjectKey, ServiceState]
    ) -> ServicesRules:
        built = builder.build(services)
        if built is not self._built:
            self._built, self._findings = built, findings(built)
        return built

    def _program_or_set_aside(
        self, wanted: ServicesRules, context: FamilyContext, *, verify: bool
    ) -> Reports:
        try:
            return self._program(wanted, context, verify=verify)
        except UnacceptableRulesError:
            # A rule may lead to a chain that somebody else deleted: repair before blaming a rule.
            try:
                return self._program(wanted, context, verify=True)
            except UnacceptableRulesError:
                return self._program_acceptable(wanted, context)

    def _with_substitutes(self, built: ServicesRules) -> ServicesRules:
        """``built`` with refused rules replaced by what the kernel holds of their Services."""
        for key in [key for key, (refused, _) in self._set_aside.items()]:
            if built.get(key) is not self._set_aside[key][0]:
                del self._set_aside[key]
        if not self._set_aside:
            return built
        return {
            key: self._committed[key] if key in self._set_aside else rules
            for key, rules in built.items()
            if key not in self._set_aside or key in self._committed
        }

    def _program(
        self,
        services: ServicesRules,
        context: FamilyContext,
        *,
        verify: bool = False,
        is_narrowing: bool = False,
    ) -> Reports:
        tables = self._compose(services, context)
        retention = self._retention(services, is_narrowing=is_narrowing)
        reports = {
            table: self._appliers[table].apply(tables[table], verify=verify, retention=retention)
            for table in _order(self._committed if self._is_programmed else None, services)
        }
        self._committed = services
        self._is_programmed = True
        return reports

    def _retention(self, services: ServicesRules, *, is_narrowing: bool) -> Retention:
        """What others left that stays besides the rules of ``services``.

        While culprits are looked for it may serve all that are not admitted yet; after that, those
        that were not admitted.
        """
        if self._is_taking_over and is_narrowing:
            return EVERYTHING
        keys = self._set_aside if self._is_taking_over else self._served_by_others
        missing = [self._built[key] for key in keys if key in self._built and key not in services]
        return Retention(
            frozenset(names.hash_of(name) for rules in missing for name in rules.chains)
        )

    def _compose(self, services: ServicesRules, context: FamilyContext) -> Tables:
        """The tables; the same objects as before if nothing changed: nobody has to compare them."""
        if self._composer is None or self._composer.context != context:
            self._composer = TableComposer(context)
            self._composed = None
        if self._composed is None or self._composed[0] is not services:
            self._composed = (services, self._composer.compose(services))
        return self._composed[1]

    def _program_acceptable(self, wanted: ServicesRules, context: FamilyContext) -> Reports:
        """Program what the kernel accepts of ``wanted`` and set the rest aside.

        Raises:
            UnacceptableRulesError: even without any change of a Service.
        """
        unchanged = {key: self._committed[key] for key in wanted if key in self._committed}
        suspects = [key for key in wanted if self._committed.get(key) is not wanted[key]]
        passes = [self._program(unchanged, context, is_narrowing=True)]
        for half in _halves(suspects):
            passes += self._admit(half, wanted, context)
        if self._is_taking_over:
            passes.append(self._program(self._committed, context))
        return _together(passes)

    def _admit(
        self, suspects: Sequence[ObjectKey], wanted: ServicesRules, context: FamilyContext
    ) -> Sequence[Reports]:
        """Program the ``suspects`` that the kernel accepts, besides what it holds already."""
        trial = {**self._committed, **{key: wanted[key] for key in suspects}}
        services = {key: trial[key] for key in sorted(trial)}
        try:
            return [self._program(services, context, is_narrowing=True)]
        except UnacceptableRulesError as error:
            if len(suspects) == 1:
                (culprit,) = suspects
                self._set_aside[culprit] = (wanted[culprit], str(error))
                return []
        return [
            report for half in _halves(suspects) for report in self._admit(half, wanted, context)
        ]


def _together(passes: Sequence[Reports]) -> Reports:
    """What all ``passes`` did to each table."""
    return {
        table: reduce(lambda earlier, later: later.after(earlier), (one[table] for one in passes))
        for table in TableName
    }


def _order(before: ServicesRules | None, after: ServicesRules) -> Sequence[TableName]:
    """The order of commits that leaves no moment in which a packet meets neither table's rules.

    A translated packet no longer matches the rule that refuses its VIP, so that a service may have
    both for a moment. One with neither would let a UDP client's packets pass untranslated, and
    conntrack would remember that. So translation comes first where services got endpoints, refusal
    where they lost them; if there are both at once, some get endpoints a moment later.
    """
    if before is None:
        return _FILTER_FIRST
    if before is after:
        return _NAT_FIRST
    are_only_fewer = all(
        known is rules or _refusals(rules) <= _refusals(known)
        for key, rules in after.items()
        for known in [before.get(key, NO_RULES)]
    )
    return _NAT_FIRST if are_only_fewer else _FILTER_FIRST


def _refusals(rules: ServiceRules) -> frozenset[Rule]:
    """The rules that refuse what nat does not translate."""
    return frozenset((*rules.filter_services, *rules.filter_external_services))


def _halves(keys: Sequence[ObjectKey]) -> Collection[Sequence[ObjectKey]]:
    middle = (len(keys) + 1) // 2
    return [half for half in (keys[:middle], keys[middle:]) if half]
