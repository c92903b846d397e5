# SPDX-License-Identifier: Apache-2.0
"""What syncs leave for the status page."""

from __future__ import annotations

from dataplane.errors import LockTimeoutError
from dataplane.schedule import Reason
from dataplane.status.board import StatusBoard
from rules.ir import Family
from rules.news import Difference, News
from tests.unit.dataplane.clock import Clock
from tests.unit.dataplane.status.outcomes import outcome

IPV4, IPV6 = Family.IPV4, Family.IPV6
SOME_NEWS = News(services=Difference(added=("default/web",)))


def test_the_last_syncs_come_first() -> None:
    """Each has a number, the time at which it ended, and its fields; a failure its error."""
    clock = Clock()
    board = StatusBoard(clock.epoch)
    board.succeeded(outcome(IPV4, news=SOME_NEWS))
    clock.seconds += 5
    board.failed(IPV6, Reason.CHANGE, 0.002, LockTimeoutError("held"))

    latest, first = board.syncs()

    assert (first["number"], first["family"], first["times"]) == (1, "ipv4", 1)
    assert first["services"] == {"added": 1, "removed": 0, "changed": 0, "names": ["+default/web"]}
    assert latest["at"] == clock.epoch()
    assert (latest["error"], latest["ms"], latest["reason"]) == ("held", 2.0, "change")


def test_syncs_that_change_nothing_take_one_place() -> None:
    """Of a family's syncs in a row with nothing to change the last is kept, and their number."""
    board = StatusBoard()
    board.succeeded(outcome(IPV4, news=SOME_NEWS))
    for _ in range(3):
        board.succeeded(outcome(IPV4))
        board.succeeded(outcome(IPV6))
    board.succeeded(outcome(IPV4, news=SOME_NEWS))
    board.succeeded(outcome(IPV4))

    found = [(one["family"], one["times"]) for one in reversed(board.syncs())]

    assert found == [("ipv4", 1), ("ipv4", 3), ("ipv6", 3), ("ipv4", 1), ("ipv4", 1)]


def test_old_syncs_are_forgotten() -> None:
    """Only the last sixty are kept."""
    board = StatusBoard()
    for _ in range(100):
        board.succeeded(outcome(IPV4, news=SOME_NEWS))

    assert [one["number"] for one in board.syncs()] == list(range(100, 40, -1))


def test_it_knows_when_a_sync_is_at_work() -> None:
    """A reading of the kernel counts only if no sync began or ended since its outcomes were."""
    board = StatusBoard()
    board.succeeded(outcome(IPV4))
    before = board.outcomes()
    assert board.is_still(before)

    board.started(IPV4)
    assert not board.is_still(before)
    board.failed(IPV4, Reason.RETRY, 0.1, LockTimeoutError("held"))
    assert board.is_still(before)
    board.started(IPV4)
    board.succeeded(outcome(IPV4))
    assert not board.is_still(before)
    assert board.is_still(board.outcomes())


def test_the_latest_picture() -> None:
    """There is none before the first sync, and then the last one's."""
    board = StatusBoard()
    assert board.picture() is None

    last = outcome(IPV6)
    board.succeeded(outcome(IPV4))
    board.succeeded(last)

    assert board.picture() is last.picture
