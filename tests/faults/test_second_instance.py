# SPDX-License-Identifier: Apache-2.0
"""A second agent on the same node."""

from __future__ import annotations

from tests.faults.stand import SOON_SECONDS, Stand
from tests.kernel.traffic import REMOTE


def test_a_second_instance_disturbs_nothing(stand: Stand) -> None:
    """It is refused with one line; rules, health and the work of the first go on."""
    first = stand.start_and_wait()
    before = stand.contents()

    with stand.all_answered():
        done = stand.site.command("run", stand.source, *stand.site._flags())
        assert done.returncode == 1
        assert done.stderr.startswith("dataplane: another agent (pid ")
        assert len(done.stderr.splitlines()) == 1
        assert stand.contents() == before
        assert stand.is_healthy()
        stand.tell_news(REMOTE)
        stand.wait_for_news(REMOTE, seconds=SOON_SECONDS)

    assert first.is_running
