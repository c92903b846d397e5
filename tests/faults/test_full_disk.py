# SPDX-License-Identifier: Apache-2.0
"""A disk without room for another byte, under the logs and under the lock files."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Final

from tests.command.site import COMMAND, AgentProcess
from tests.faults.stand import SOON_SECONDS, Stand
from tests.kernel.traffic import LOCAL, REMOTE

_RUN_ON_FULL_DISK: Final = """
set -e
disk=$1; shift
mount -t tmpfs -o size=64k full "$disk"
cat /dev/zero >"$disk/ballast" 2>"$disk/no-room" || true
if echo more >"$disk/more"; then exit 99; fi
echo "the disk is full"
export XTABLES_LOCKFILE=$disk/xtables.lock
exec "$@" "--lock-file=$disk/agent.lock" >/dev/full 2>&1
"""


def _start_on_full_disk(stand: Stand, log: Path) -> AgentProcess:
    """Start an agent in a mount namespace of its own, where all that it could write to is full."""
    disk = stand.site.folder / "disk"
    disk.mkdir()
    program = [COMMAND, "run", stand.source, *stand.site._flags(), "--v=4"]
    shell = ["unshare", "--mount", "sh", "-c", _RUN_ON_FULL_DISK, "sh", str(disk), *program]
    return AgentProcess(stand.site.host.popen(shell, log=log), log)


def test_a_full_disk_does_not_matter(stand: Stand, tmp_path: Path) -> None:
    """With full logs and lock files the agent programs, follows, repairs and ends as ever."""
    agent = _start_on_full_disk(stand, tmp_path / "shell.log")
    stand.wait_until_answered()
    stand.wait_for_news(LOCAL)

    with stand.all_answered():
        for pod in (REMOTE, LOCAL, REMOTE):
            stand.tell_news(pod)
            stand.wait_for_news(pod, seconds=SOON_SECONDS)
        assert stand.is_healthy()
        assert agent.end(signal.SIGTERM) == 0
        assert stand.is_followed(REMOTE)

    assert "the disk is full" in agent.log
    assert not (stand.site.folder / "agent.lock").exists()
