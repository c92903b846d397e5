# SPDX-License-Identifier: Apache-2.0
"""The account of one sync: what changed and how long each phase took, as fields and in words.

The fields are an interface of the JSON logs and of the status page: some may be added, none is
renamed or removed. Times are in milliseconds::

    {"family": FAMILY, "reason": "change" | "period" | "retry", "ms": N,
     "services": NAMES, "endpoints": NAMES,
     "tables": {TABLE: {"changes": CHANGES, "repairs": CHANGES}...},
     "phases": {"queue": N, "build": N,
                TABLE: {"ms": N, "lock": N, "compare": N, "kernel": N}...},
     "setAside": [NAME...]}

NAMES is ``{"added": N, "removed": N, "changed": N, "names": [TEXT...]}``, in which a name begins
with ``+``, ``-`` or ``~``, and of many only the first are there. CHANGES is ``{"rulesAdded": N,
"rulesDeleted": N, "chainsAdded": N, "chainsDeleted": N}``. ``queue`` is how long the first of the
changes waited, ``lock`` the wait for the xtables lock, ``kernel`` reading and committing.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from dataplane.errors import KernelError
from dataplane.kernel.table_times import TableTimes
from dataplane.kernel.transaction import Changes
from dataplane.reports.observation import SyncOutcome
from dataplane.schedule import Reason
from rules.ir import Family
from rules.jsonform import JsonObject
from rules.news import Difference


def sync_fields(outcome: SyncOutcome, most_names: int) -> JsonObject:
    """The fields, with at most so many names of Services, and as many of endpoints."""
    report = outcome.report
    return {
        "family": outcome.family.value,
        "reason": outcome.reason.value,
        "ms": _milliseconds(outcome.seconds),
        "services": _names_fields(outcome.news.services, most_names),
        "endpoints": _names_fields(outcome.news.endpoints, most_names),
        "tables": {
            table.value: {
                "changes": _changes_fields(done.changes),
                "repairs": _changes_fields(done.repairs),
            }
            for table, done in report.tables.items()
        },
        "phases": {
            "queue": _milliseconds(outcome.queue_seconds),
            "build": _milliseconds(report.build_seconds),
            **{table.value: _times_fields(done.times) for table, done in report.tables.items()},
        },
        "setAside": [str(key) for key in sorted(report.set_aside)],
    }


def failure_fields(
    family: Family, reason: Reason, seconds: float, error: KernelError
) -> JsonObject:
    """The fields of a sync that failed, which has an ``error`` in place of what changed."""
    return {
        "family": family.value,
        "reason": reason.value,
        "ms": _milliseconds(seconds),
        "error": str(error),
    }


def sync_words(outcome: SyncOutcome, most_names: int) -> str:
    """The same in a line."""
    parts = [
        *_difference_words("services", outcome.news.services, most_names),
        *_difference_words("endpoints", outcome.news.endpoints, most_names),
    ]
    family = outcome.family.value
    for table, done in outcome.report.tables.items():
        if done.repairs:
            parts.append(
                f"{family} table {table.value}: somebody else had changed our rules; repaired: "
                f"{_changes_words(done.repairs)}"
            )
        if done.changes:
            parts.append(f"{table.value}: {_changes_words(done.changes)}")
    if not (outcome.report.has_changes or outcome.report.has_repairs):
        parts.append("nothing to change")
    return (
        f"synced {family} ({outcome.reason.value}) in {outcome.seconds * 1000:.1f} ms: "
        f"{'; '.join(parts)}; {_phases_words(outcome)}"
    )


def _names_fields(difference: Difference, most: int) -> JsonObject:
    return {
        "added": len(difference.added),
        "removed": len(difference.removed),
        "changed": len(difference.changed),
        "names": list(islice(_names(difference), most)),
    }


def _names(difference: Difference) -> Iterator[str]:
    for sign, names in zip("+-~", difference, strict=True):
        for name in names:
            yield sign + name


def _changes_fields(changes: Changes) -> JsonObject:
    return {
        "rulesAdded": changes.rules_added,
        "rulesDeleted": changes.rules_deleted,
        "chainsAdded": changes.chains_created,
        "chainsDeleted": changes.chains_deleted,
    }


def _times_fields(times: TableTimes) -> JsonObject:
    return {
        "ms": _milliseconds(times.total),
        "lock": _milliseconds(times.lock),
        "compare": _milliseconds(times.compare),
        "kernel": _milliseconds(times.kernel),
    }


def _milliseconds(seconds: float) -> float:
    return round(seconds * 1000, 3)


def _difference_words(what: str, difference: Difference, most: int) -> Iterator[str]:
    if not difference:
        return
    names = ", ".join(islice(_names(difference), most))
    counts = list(map(len, difference))
    if sum(counts) <= most:
        yield f"{what} {names}"
        return
    signed = zip("+-~", counts, strict=True)
    yield f"{what} {' '.join(f'{sign}{count}' for sign, count in signed if count)} ({names}, ...)"


def _changes_words(changes: Changes) -> str:
    return (
        f"rules +{changes.rules_added} -{changes.rules_deleted}, "
        f"chains +{changes.chains_created} -{changes.chains_deleted}"
    )


def _phases_words(outcome: SyncOutcome) -> str:
    tables = (
        f"{table.value} {done.times.total * 1000:.1f} (lock {done.times.lock * 1000:.1f}, "
        f"compare {done.times.compare * 1000:.1f}, kernel {done.times.kernel * 1000:.1f})"
        for table, done in outcome.report.tables.items()
    )
    queue, build = outcome.queue_seconds * 1000, outcome.report.build_seconds * 1000
    return f"ms: queue {queue:.1f}, build {build:.1f}, {', '.join(tables)}"
