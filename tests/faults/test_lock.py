# SPDX-License-Identifier: Apache-2.0
"""The xtables lock in the hands of somebody who does not give it back in time."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lab import wait_until
from tests.faults.stand import SOON_SECONDS, Stand
from tests.kernel.traffic import LOCAL, REMOTE

_FAILURES = "kubeproxy_sync_proxy_rules_iptables_restore_failures_total"
_PROGRAMMING = "kubeproxy_network_programming_duration_seconds"
_WAITS = "dataplane_xtables_lock_wait_seconds"


@contextmanager
def _held(lock_file: Path) -> Iterator[None]:
    """Hold the lock in this process, which is another than the agent's."""
    with lock_file.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def test_a_lock_that_is_held_too_long_delays_and_nothing_else(stand: Stand) -> None:
    """Rules stay, health and metrics tell the truth, and the change comes after the release."""
    agent = stand.start_and_wait()
    before = stand.contents()
    assert stand.is_healthy()
    assert stand.metric(_FAILURES) == 0
    programmed = stand.metric(f"{_PROGRAMMING}_count", ip_family="IPv4")

    with stand.all_answered():
        with _held(stand.site.host.lock_file):
            stand.tell_news(REMOTE)
            agent.wait_for("another process held the xtables lock")
            assert not stand.is_healthy()
            assert stand.contents() == before
            wait_until("the failure is counted", lambda: stand.metric(_FAILURES) >= 1)
            assert stand.metric("dataplane_sync_failures_total", ip_family="IPv4") >= 1
            assert stand.metric(f"{_WAITS}_sum") >= 5
        stand.wait_for_news(REMOTE, seconds=SOON_SECONDS)
        wait_until("the agent is healthy again", stand.is_healthy)
        # How long it took is told, failures and all.
        assert stand.metric(f"{_PROGRAMMING}_count", ip_family="IPv4") == programmed + 1
        assert stand.metric(f"{_PROGRAMMING}_sum", ip_family="IPv4") >= 5

    assert agent.is_running


def test_a_node_that_is_right_needs_no_lock(stand: Stand) -> None:
    """Over several sync periods with nothing to do, nothing is written: not even the lock is had.

    A writer can put the counters back to what they were, but it must have the lock.
    """
    agent = stand.start_and_wait("--iptables-sync-period=500ms")
    _wait_for_periods(stand, 2)
    waits, lines = stand.metric(f"{_WAITS}_count"), len(agent.log_lines_with("synced"))
    repairs = stand.metric("dataplane_repairs_total")
    before = stand.contents()

    with stand.all_answered(), _held(stand.site.host.lock_file):
        _wait_for_periods(stand, 3)
        assert stand.is_healthy()

    assert stand.metric(f"{_WAITS}_count") == waits
    assert stand.metric(_FAILURES) == 0
    assert stand.metric("dataplane_repairs_total") == repairs == 0
    assert len(agent.log_lines_with("synced")) == lines
    assert stand.contents() == before
    assert stand.is_followed(LOCAL)


def _wait_for_periods(stand: Stand, count: int) -> None:
    """Wait until each family has been looked at ``count`` times more."""
    metric = "kubeproxy_sync_full_proxy_rules_duration_seconds_count"
    goals = {family: stand.metric(metric, ip_family=family) + count for family in ("IPv4", "IPv6")}
    wait_until(
        f"{count} periods are over",
        lambda: all(stand.metric(metric, ip_family=one) >= goals[one] for one in goals),
    )
