# SPDX-License-Identifier: Apache-2.0
"""The agent at a glance: health, and what stands in each family's tables."""

from __future__ import annotations

from dataplane.reports.health import ProxyHealth
from dataplane.reports.observation import SyncOutcome
from dataplane.status.board import StatusBoard
from rules.ir import Family
from rules.jsonform import JsonObject


def overview(node_name: str, version: str, health: ProxyHealth, board: StatusBoard) -> JsonObject:
    """All of it as plain values; times are in seconds since the epoch."""
    now, outcomes, picture = health.read(), board.outcomes(), board.picture()
    return {
        "node": node_name,
        "version": version,
        "at": now.current_time.timestamp(),
        "healthy": now.is_live,
        "nodeEligible": now.is_node_eligible,
        "services": 0 if picture is None else len(picture.services),
        "families": {
            family.value: {
                "healthy": one.is_healthy,
                "lastUpdated": one.last_updated and one.last_updated.timestamp(),
                **_standing(outcomes.get(family), family),
            }
            for family, one in now.families.items()
        },
    }


def _standing(outcome: SyncOutcome | None, family: Family) -> JsonObject:
    if outcome is None:
        return {"endpoints": 0, "tables": {}, "setAside": [], "isLargeCluster": False}
    report = outcome.report
    return {
        "endpoints": _endpoint_count(outcome, family),
        "tables": {
            table.value: {"rules": done.rules, "chains": done.chains}
            for table, done in report.tables.items()
        },
        "setAside": [
            {"service": str(key), "reason": report.set_aside[key]}
            for key in sorted(report.set_aside)
        ],
        "isLargeCluster": outcome.context.is_large,
    }


def _endpoint_count(outcome: SyncOutcome, family: Family) -> int:
    """How many there are in the slices, ready or not."""
    return sum(
        len(one.endpoints)
        for state in outcome.picture.services.values()
        for one in state.slices
        if one.family is family
    )
