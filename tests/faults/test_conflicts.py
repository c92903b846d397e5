# SPDX-License-Identifier: Apache-2.0
"""A program that writes to our tables without waiting for the xtables lock."""

from __future__ import annotations

from itertools import cycle
from typing import Final

from lab import wait_until
from lab.plan import Pod
from rules.ir import TableName
from tests.address_plan import IPV4
from tests.faults.stand import SOON_SECONDS, Stand
from tests.kernel.traffic import LOCAL, REMOTE

_CHAIN: Final = "THEIRS"
_CONFLICTS: Final = "dataplane_commit_conflicts_total"
_CONFLICT_SECONDS: Final = 30.0
_REPAIRED_SECONDS: Final = 10.0
"""Several sync periods: the writer may undo a change and even its repair, without any conflict."""
_WRITE_UNTIL_TOLD: Final = """
chain=$1; stop=$2; round=0
# Another lock than everybody else's is no lock.
export XTABLES_LOCKFILE=$stop.lock
until [ -e "$stop" ]; do
  round=$((round + 1))
  # Exit code 4: we were ahead of it, and it has to try again.
  until iptables-legacy -t nat -A "$chain" -m comment --comment "$round" -j RETURN; do
    [ $? -eq 4 ] || exit 1
  done 2>>"$stop.errors"
  sleep 0.02
done
echo "$round"
"""


def test_a_writer_without_the_lock_and_the_agent_both_get_through(stand: Stand) -> None:
    """Changes are followed while it writes; in the end all of its rules and all of ours stand."""
    agent = stand.start_and_wait()
    stand.site.node.iptables(IPV4, "-t", "nat", "-N", _CHAIN)
    before = stand.contents()
    stop, log = stand.site.folder / "stop", stand.site.folder / "writer.log"

    with stand.all_answered():
        writer = stand.site.host.popen(
            ["sh", "-c", _WRITE_UNTIL_TOLD, "sh", _CHAIN, str(stop)], log=log
        )
        pods = cycle((REMOTE, LOCAL))
        wait_until(
            "both wrote at the same time",
            lambda: _follow(stand, next(pods)) and stand.metric(_CONFLICTS) >= 1,
            seconds=_CONFLICT_SECONDS,
        )
        stop.touch()
        assert writer.wait(timeout=10) == 0, stop.with_suffix(".errors").read_text()
        stand.tell_news(LOCAL)
        stand.wait_for_news(LOCAL, seconds=SOON_SECONDS)

    rounds = int(log.read_text())
    theirs = stand.site.node.chain(IPV4, TableName.NAT, _CHAIN)
    assert theirs == [f"-m comment --comment {one} -j RETURN" for one in range(1, rounds + 1)]
    for tables, tables_before in zip(stand.contents(), before, strict=True):
        tables.pop(("nat", _CHAIN), None)
        tables_before.pop(("nat", _CHAIN), None)
        assert tables == tables_before
    assert agent.is_running


def _follow(stand: Stand, pod: Pod) -> bool:
    stand.tell_news(pod)
    stand.wait_for_news(pod, seconds=_REPAIRED_SECONDS)
    return True
