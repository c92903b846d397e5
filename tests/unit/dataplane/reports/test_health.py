# SPDX-License-Identifier: Apache-2.0
"""When the agent is healthy, and how it says so."""

from __future__ import annotations

import json

import pytest

from dataplane.reports.health import ProxyHealth
from rules.ir import Family
from tests.unit.dataplane.clock import Clock

TIMEOUT = 60.0


@pytest.fixture
def clock() -> Clock:
    """A clock at its start."""
    return Clock()


@pytest.fixture
def health(clock: Clock) -> ProxyHealth:
    """The health of an agent of both families that just started."""
    return ProxyHealth(Family, TIMEOUT, monotonic=clock.monotonic, now=clock.now)


def test_healthy_while_nothing_is_to_be_done(health: ProxyHealth, clock: Clock) -> None:
    """An agent that nobody asked anything is healthy, however long that lasts."""
    clock.seconds = 10 * TIMEOUT
    assert health.read().is_healthy


def test_unhealthy_once_a_change_waited_too_long(health: ProxyHealth, clock: Clock) -> None:
    """A change that waits for the whole time-out makes the agent unhealthy, and no sooner."""
    health.update_queued(Family.IPV4)
    clock.seconds = TIMEOUT - 0.1
    assert health.read().is_live
    clock.seconds = TIMEOUT
    assert not health.read().is_live


def test_later_changes_do_not_make_a_waiting_one_younger(health: ProxyHealth, clock: Clock) -> None:
    """The age is the oldest waiting change's."""
    health.update_queued(Family.IPV4)
    clock.seconds = TIMEOUT / 2
    health.update_queued(Family.IPV4)
    clock.seconds = TIMEOUT
    assert not health.read().is_live


def test_healthy_again_after_a_sync(health: ProxyHealth, clock: Clock) -> None:
    """A sync that ends well makes the agent healthy again."""
    health.update_queued(Family.IPV4)
    clock.seconds = TIMEOUT
    health.sync_started(Family.IPV4)
    assert not health.read().is_live
    health.updated(Family.IPV4)
    assert health.read().is_live


def test_a_change_during_a_sync_still_waits(health: ProxyHealth, clock: Clock) -> None:
    """A sync does not settle what was queued after it began."""
    health.sync_started(Family.IPV4)
    clock.seconds = 1.0
    health.update_queued(Family.IPV4)
    health.updated(Family.IPV4)
    clock.seconds = TIMEOUT
    assert health.read().is_live
    clock.seconds = TIMEOUT + 1
    assert not health.read().is_live


def test_failed_syncs_leave_their_changes_waiting(health: ProxyHealth, clock: Clock) -> None:
    """Trying again and again in vain does not make the change younger."""
    for seconds in range(0, int(TIMEOUT), 10):
        clock.seconds = float(seconds)
        health.sync_started(Family.IPV4)
    clock.seconds = TIMEOUT
    assert not health.read().is_live


def test_one_family_that_is_late_is_enough(health: ProxyHealth, clock: Clock) -> None:
    """The agent is unhealthy if one family is; the JSON says which."""
    health.update_queued(Family.IPV6)
    clock.seconds = TIMEOUT
    health.updated(Family.IPV4)
    status = json.loads(health.read().livez_json())["status"]
    assert {name: told["healthy"] for name, told in status.items()} == {"IPv4": True, "IPv6": False}
    assert not health.read().is_healthy


def test_an_ineligible_node_is_live(health: ProxyHealth) -> None:
    """A node that is about to go refuses traffic, but the agent needs no restart."""
    health.node_changed(is_eligible=False)
    assert not health.read().is_healthy
    assert health.read().is_live
    health.node_changed(is_eligible=True)
    assert health.read().is_healthy


def test_json_of_a_healthy_agent(health: ProxyHealth, clock: Clock) -> None:
    """While all is well both times are the present one, as with kube-proxy."""
    health.updated(Family.IPV4)
    clock.seconds = 5.0
    assert json.loads(health.read().healthz_json()) == {
        "lastUpdated": "2026-01-02T03:04:10.678901Z",
        "currentTime": "2026-01-02T03:04:10.678901Z",
        "nodeEligible": True,
        "healthy": True,
        "status": {
            "IPv4": {"lastUpdated": "2026-01-02T03:04:05.678901Z", "healthy": True},
            "IPv6": {"lastUpdated": "0001-01-01T00:00:00Z", "healthy": True},
        },
    }


def test_json_of_an_unhealthy_agent(health: ProxyHealth, clock: Clock) -> None:
    """The last update is then the latest one of any family; /livez tells nothing of the node."""
    health.updated(Family.IPV4)
    health.update_queued(Family.IPV4)
    clock.seconds = TIMEOUT
    told = json.loads(health.read().livez_json())
    assert told["lastUpdated"] == "2026-01-02T03:04:05.678901Z"
    assert told["currentTime"] == "2026-01-02T03:05:05.678901Z"
    assert told["healthy"] is False
    assert "nodeEligible" not in told
