# SPDX-License-Identifier: Apache-2.0
"""When a sync is due, on a clock that the tests turn."""

from __future__ import annotations

import pytest

from dataplane.schedule import Reason, Schedule
from dataplane.settings import SyncSettings

START = 1000.0
SETTINGS = SyncSettings(min_sync_period_seconds=1.0, sync_period_seconds=30.0)


@pytest.fixture
def new_schedule() -> Schedule:
    """A schedule that begins at START."""
    return Schedule(SETTINGS, START)


@pytest.fixture
def schedule(new_schedule: Schedule) -> Schedule:
    """A schedule that has seen the first sync and its verification, both at START."""
    synced(new_schedule, START)
    synced(new_schedule, START, verified=True)
    return new_schedule


def synced(
    schedule: Schedule,
    at: float,
    *,
    took: float = 0.0,
    verified: bool = False,
    repaired: bool = False,
) -> None:
    """A sync that ended at ``at``."""
    schedule.note_start(at - took)
    schedule.note_success(at, verified=verified, repaired=repaired)


def failed(schedule: Schedule, at: float, *, took: float = 0.0) -> None:
    """A sync that failed at ``at``."""
    schedule.note_start(at - took)
    schedule.note_failure(at)


def test_first_change_is_due_at_once(new_schedule: Schedule) -> None:
    """Nobody waits for the first sync."""
    new_schedule.note_change()

    assert new_schedule.due() == (START, Reason.CHANGE)


def test_the_first_sync_is_verified_soon(new_schedule: Schedule) -> None:
    """Who programmed the node before may not have ended yet; after a look the period is usual."""
    synced(new_schedule, START + 5)
    soon = new_schedule.due()
    synced(new_schedule, START + 6, verified=True)

    assert soon == (START + 6, Reason.PERIOD)
    assert new_schedule.due() == (START + 36, Reason.PERIOD)


def test_change_after_a_rest_is_due_at_once(schedule: Schedule) -> None:
    """A change is followed without delay if the last sync is long ago."""
    synced(schedule, START)
    schedule.note_change()

    due, reason = schedule.due()

    assert (due, reason) == (START + 1, Reason.CHANGE)


def test_burst_becomes_one_sync(schedule: Schedule) -> None:
    """Changes during the rest are taken together by the next sync, and need no other."""
    synced(schedule, START)
    for _ in range(100):
        schedule.note_change()
    synced(schedule, START + 1)

    assert schedule.due() == (START + 30, Reason.PERIOD)


def test_change_during_a_sync_leads_to_another(schedule: Schedule) -> None:
    """What comes after the picture was taken is not lost."""
    schedule.note_change()
    schedule.note_start(START + 5)
    schedule.note_change()
    schedule.note_success(START + 5, verified=False)

    assert schedule.due() == (START + 6, Reason.CHANGE)


@pytest.mark.parametrize(("took", "rest"), [(0.4, 1.0), (1.5, 1.5), (8.0, 2.0)])
def test_the_rest_is_as_long_as_the_sync(schedule: Schedule, took: float, rest: float) -> None:
    """After a sync that took longer than the shortest rest, others have their time, too."""
    synced(schedule, START + 10, took=took)
    schedule.note_change()

    assert schedule.due() == (START + 10 + rest, Reason.CHANGE)


def test_a_failure_is_tried_again_however_long_it_took(schedule: Schedule) -> None:
    """What was waited for in vain may be there at the next moment."""
    failed(schedule, START + 10, took=5.0)

    assert schedule.due() == (START + 11, Reason.RETRY)


def test_kernel_is_verified_every_period(schedule: Schedule) -> None:
    """Syncs for changes do not put off the verification."""
    for second in range(1, 30):
        schedule.note_change()
        synced(schedule, START + second)

    assert schedule.due() == (START + 30, Reason.PERIOD)


def test_verification_starts_the_period_anew(schedule: Schedule) -> None:
    """After a verification the next one is a period away."""
    synced(schedule, START + 30, verified=True)

    assert schedule.due() == (START + 60, Reason.PERIOD)


def test_failures_are_retried_with_growing_pauses(schedule: Schedule) -> None:
    """A failing kernel is not hammered, and never given up."""
    pauses = []
    for _ in range(7):
        failed(schedule, START)
        due, reason = schedule.due()
        pauses.append(due - START)
        assert reason is Reason.RETRY

    assert pauses == [1, 1, 2, 4, 4, 4, 4]


def test_repairs_are_looked_after_soon(schedule: Schedule) -> None:
    """Who changed our rules may do so again: the next look comes soon, then ever later."""
    pauses = []
    for _ in range(7):
        synced(schedule, START, verified=True, repaired=True)
        due, reason = schedule.due()
        pauses.append(due - START)
        assert reason is Reason.PERIOD

    assert pauses == [1, 2, 4, 8, 16, 30, 30]


def test_a_verification_without_findings_ends_the_unrest(schedule: Schedule) -> None:
    """Once nothing had to be repaired, the period is the usual one."""
    synced(schedule, START, verified=True, repaired=True)
    synced(schedule, START + 1, verified=True)

    assert schedule.due() == (START + 31, Reason.PERIOD)


def test_success_ends_the_retries(schedule: Schedule) -> None:
    """After a success only the period counts again."""
    failed(schedule, START)
    synced(schedule, START + 1)

    assert schedule.due() == (START + 30, Reason.PERIOD)


def test_waiting_for_the_first_state_does_not_delay_it(new_schedule: Schedule) -> None:
    """Half a state is not synced, and the whole one is as soon as it is there."""
    new_schedule.note_change()
    new_schedule.note_not_ready(START + 10)
    new_schedule.note_change()

    assert new_schedule.due() == (START, Reason.CHANGE)
