# SPDX-License-Identifier: Apache-2.0
"""The agent as a process on the node: the installed command, nothing else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from demo.service import CLUSTER_CIDR, NODE_NAME
from lab import Host

COMMAND = str(Path(sys.executable).parent / "dataplane")


class AgentFailedError(Exception):
    """The agent ended although nobody asked it to."""


class Agent:
    """A running ``dataplane run``."""

    def __init__(self, node: Host, manifests: Path, folder: Path) -> None:
        self.lock_file_flag = f"--lock-file={folder / 'agent.lock'}"
        self.argv = (
            COMMAND,
            "run",
            f"--manifests={manifests}",
            f"--cluster-cidr={CLUSTER_CIDR}",
            f"--hostname-override={NODE_NAME}",
            self.lock_file_flag,
            # The size of conntrack's table is one for the whole machine, not for this node alone.
            "--conntrack-max-per-core=0",
        )
        self._log = folder / "agent.log"
        self._process: subprocess.Popen[bytes] = node.popen(self.argv, log=self._log)

    @property
    def log(self) -> str:
        """What it has written so far."""
        return self._log.read_text()

    def require_running(self) -> None:
        """Raise, with the agent's own words, if it has ended."""
        code = self._process.poll()
        if code is not None:
            raise AgentFailedError(f"the agent ended with exit code {code}; it said:\n{self.log}")

    def end(self) -> int:
        """Send SIGTERM, wait, and return the exit code."""
        self._process.terminate()
        return self._process.wait(timeout=20)
