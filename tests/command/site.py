# SPDX-License-Identifier: Apache-2.0
"""A node, the manifests that its agent follows, and the installed command as processes on it."""

from __future__ import annotations

import re
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from subprocess import CompletedProcess, Popen
from typing import Final

import yaml

from lab import Host, wait_until
from tests.address_plan import PLANS
from tests.apiserver.store import JsonObject
from tests.kernel.node import KernelNode

NODE_NAME: Final = "node-a"
COMMAND: Final = str(Path(sys.executable).with_name("dataplane"))
SYNC_PERIOD_SECONDS: Final = 1.0

_EXIT_SECONDS: Final = 10.0
_DNAT = re.compile(r"--to-destination (\S+)")
_WITHOUT_PRIVILEGES: Final = (
    "setpriv",
    "--bounding-set=-all",
    "--inh-caps=-all",
    "--ambient-caps=-all",
    "--no-new-privs",
)
"""As a user who is not root, but one who may read the virtual environment wherever it stands."""


class AgentProcess:
    """A ``dataplane run`` that was started."""

    def __init__(self, process: Popen[bytes], log: Path) -> None:
        self._process = process
        self._log = log

    @property
    def log(self) -> str:
        """What it has written so far."""
        return self._log.read_text()

    def log_lines_with(self, *parts: str) -> list[str]:
        """The lines so far that contain all of ``parts``."""
        return [line for line in self.log.splitlines() if all(part in line for part in parts)]

    def wait_for(self, text: str) -> None:
        """Wait until it has written ``text``."""
        wait_until(f"the agent says {text!r}", lambda: text in self.log)

    @property
    def is_running(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def send(self, number: signal.Signals) -> None:
        """Send a signal."""
        self._process.send_signal(number)

    def end(self, number: signal.Signals) -> int:
        """Send a signal and return the exit code."""
        self.send(number)
        return self.exit_code()

    def exit_code(self) -> int:
        """Wait until it has ended."""
        return self._process.wait(_EXIT_SECONDS)


class Site:
    """What one test has to itself."""

    def __init__(self, host: Host, folder: Path) -> None:
        """Keep manifests and logs in ``folder``."""
        self.host = host
        self.node = KernelNode(host)
        self.folder = folder
        self.manifests = folder / "manifests"
        self.manifests.mkdir()
        self._starts = 0

    def write(self, file: str, *objects: JsonObject) -> Path:
        """Write a manifest with the objects."""
        return self.write_text(file, yaml.safe_dump_all(objects))

    def write_text(self, file: str, text: str) -> Path:
        """Write a manifest with any text."""
        path = self.manifests / file
        path.write_text(text, encoding="utf-8")
        return path

    def start(
        self, *flags: str, source: str | None = None, through: Sequence[str] = ()
    ) -> AgentProcess:
        """Start an agent that follows ``source``: the manifests unless told otherwise.

        ``through`` is a command that becomes the agent's when that stands behind it.
        """
        self._starts += 1
        log = self.folder / f"agent-{self._starts}.log"
        argv = [
            *through,
            COMMAND,
            "run",
            source or f"--manifests={self.manifests}",
            *self._flags(),
            *flags,
        ]
        return AgentProcess(self.host.popen(argv, log=log), log)

    def command(self, *arguments: str) -> CompletedProcess[str]:
        """Run the command to its end, whatever its exit code."""
        return self.host.run([COMMAND, *arguments], check=False)

    def run_to_its_end(self, *flags: str) -> CompletedProcess[str]:
        """Run ``dataplane run`` that is expected to end by itself."""
        return self.command("run", f"--manifests={self.manifests}", *self._flags(), *flags)

    def without_privileges(self, *arguments: str) -> CompletedProcess[str]:
        """Run the command as somebody who may do nothing to the kernel."""
        return self.host.run([*_WITHOUT_PRIVILEGES, COMMAND, *arguments], check=False)

    @property
    def destinations(self) -> set[str]:
        """Where the kernel sends service traffic to now, in both families."""
        return {found for plan in PLANS for found in _DNAT.findall("\n".join(self.node.save(plan)))}

    def wait_for_destinations(self, *expected: str) -> None:
        """Wait until service traffic goes exactly there."""
        wait_until(f"traffic goes to {expected}", lambda: self.destinations == set(expected))

    @property
    def has_rules(self) -> bool:
        """Whether any rule or chain of the agent stands in the kernel."""
        return any("KUBE-" in line for plan in PLANS for line in self.node.save(plan))

    def _flags(self) -> list[str]:
        return [
            f"--hostname-override={NODE_NAME}",
            "--cluster-cidr=10.244.0.0/16,fd00:10:244::/48",
            f"--lock-file={self.folder / 'agent.lock'}",
            "--iptables-min-sync-period=100ms",
            f"--iptables-sync-period={SYNC_PERIOD_SECONDS:g}s",
            # The size of conntrack's table is one for the whole machine: no test's business.
            "--conntrack-max-per-core=0",
        ]
