# SPDX-License-Identifier: Apache-2.0
"""An API server that is away, slow, forgetful or confused: the node keeps what it knows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event
from time import monotonic
from typing import Final

import pytest

from lab import wait_until
from tests.address_plan import IPV4
from tests.apiserver import FakeApiServer
from tests.faults.stand import SOON_SECONDS, WATCHED_PATHS, Stand, news_service, slice_of
from tests.kernel.traffic import LOCAL, REMOTE

_AWAY_SECONDS: Final = 10.0
_BETWEEN_LOOKS_SECONDS: Final = 0.2
_SERVICES: Final = WATCHED_PATHS[0]


def test_an_outage_changes_nothing_and_is_made_up_for(stand: Stand) -> None:
    """No rule changes while the server is away; back again, its news is followed in 5 seconds."""
    agent = stand.start_and_wait()
    before = stand.contents()

    with stand.all_answered():
        stand.server.go_away()
        back_at = monotonic() + _AWAY_SECONDS
        stand.tell_news(REMOTE)
        while not Event().wait(_BETWEEN_LOOKS_SECONDS) and monotonic() < back_at:
            assert stand.contents() == before
        assert stand.metric("dataplane_source_age_seconds") > _AWAY_SECONDS / 2
        with stand.site.host.entered():
            stand.server.come_back()
        stand.wait_for_news(REMOTE, seconds=SOON_SECONDS)

    assert agent.is_running


@contextmanager
def _cut_off(stand: Stand) -> Iterator[None]:
    """Let no packet to or from the server through, in a table that is not the agent's."""
    port = str(stand.server.port)
    rules = [
        ["PREROUTING", "--protocol", "tcp", side, port, "--jump", "DROP"]
        for side in ("--source-port", "--destination-port")
    ]
    for rule in rules:
        stand.site.host.run(["iptables-legacy", "--table=raw", "--append", *rule])
    yield
    for rule in rules:
        stand.site.host.run(["iptables-legacy", "--table=raw", "--delete", *rule])


@pytest.mark.parametrize("seconds", [1.0, 8.0])
def test_a_server_that_loses_its_power_is_found_again(stand: Stand, seconds: float) -> None:
    """No packet tells that the server is gone or back; its news is followed in 5 seconds."""
    stand.start_and_wait()

    with stand.all_answered():
        with _cut_off(stand):
            stand.server.go_away(abruptly=True)
            Event().wait(seconds)
            stand.tell_news(REMOTE)
            with stand.site.host.entered():
                stand.server.come_back()
        stand.wait_for_news(REMOTE, seconds=SOON_SECONDS)


def _cut_watches(server: FakeApiServer) -> None:
    server.faults.close_watches()


def _forget_history(server: FakeApiServer) -> None:
    with server.store.changed:
        server.faults.close_watches()
        server.store.forget()


def _send_garbage(server: FakeApiServer) -> None:
    for line in (b'{"type":"ADDED","object":', b"\xff\x00 nonsense", b"[]", b'"ERROR"'):
        server.faults.inject(line)


def _fail_often(server: FakeApiServer) -> None:
    server.faults.fail(500, times=9)
    server.faults.close_watches()


@pytest.mark.parametrize(
    "do_harm",
    [_cut_watches, _forget_history, _send_garbage, _fail_often],
    ids=lambda do_harm: do_harm.__name__.strip("_"),
)
def test_an_interrupted_watch_loses_nothing(
    stand: Stand, do_harm: Callable[[FakeApiServer], None]
) -> None:
    """State is kept through cuts, 410, garbage and errors, and what comes after is followed."""
    agent = stand.start_and_wait()
    with stand.server.store.changed:
        watches = len(stand.server.watched_from(_SERVICES))

    with stand.all_answered():
        do_harm(stand.server)
        stand.tell_news(REMOTE)
        stand.server.wait_for(lambda: not stand.server.faults.failures)
        stand.wait_for_news(REMOTE, seconds=SOON_SECONDS)
        stand.server.wait_for(lambda: len(stand.server.watched_from(_SERVICES)) > watches)
        stand.tell_news(LOCAL)
        stand.wait_for_news(LOCAL, seconds=SOON_SECONDS)

    assert agent.is_running


def test_a_silent_server_is_believed_later(stand: Stand) -> None:
    """While watches say nothing the rules stay; what was held back is followed when it comes."""
    stand.start_and_wait()
    before = stand.contents()
    passes = stand.metric("kubeproxy_sync_proxy_rules_duration_seconds_count")

    with stand.all_answered():
        stand.server.faults.stall()
        stand.tell_news(REMOTE)
        wait_until(
            "the node was looked at again",
            lambda: stand.metric("kubeproxy_sync_proxy_rules_duration_seconds_count") > passes + 2,
        )
        assert stand.contents() == before
        stand.server.faults.stall(silent=False)
        stand.wait_for_news(REMOTE, seconds=SOON_SECONDS)


def test_a_bad_object_stops_nobody_else(stand: Stand) -> None:
    """A Service that becomes unusable keeps its last good rules, and all others are followed."""
    agent = stand.start_and_wait()
    bad = news_service("10.96.0.300")

    with stand.all_answered():
        stand.server.put(bad)
        agent.wait_for("Service default/news: spec.clusterIPs[0]: '10.96.0.300'")
        assert stand.is_followed(LOCAL)
        # Another Service is followed, and so are the endpoints of the bad one.
        stand.server.put(slice_of(IPV4, "web", IPV4.remote_pod))
        wait_until("only news has the local pod", lambda: _uses(stand, IPV4.local_pod) == 1)
        stand.tell_news(REMOTE)
        stand.wait_for_news(REMOTE, seconds=SOON_SECONDS)

    assert stand.metric("dataplane_objects_skipped_total", kind="Service") == 1
    stand.server.put(news_service())
    stand.tell_news(LOCAL)
    stand.wait_for_news(LOCAL, seconds=SOON_SECONDS)


def _uses(stand: Stand, address: str) -> int:
    return sum(f"--to-destination {address}:" in rule for rule in stand.site.node.save(IPV4))
