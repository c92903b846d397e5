# SPDX-License-Identifier: Apache-2.0
"""Run the demo: on real traffic as root, else a dry run. Exit code 1 if a claim did not hold."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from types import FrameType

from demo import service
from demo.agent import COMMAND, AgentFailedError
from demo.page import Page
from demo.scenario import tell
from lab import LabError, LabUnavailableError, node_lab
from lab.machines import require_usable_machine


def main() -> int:
    """Show what this machine and user can show."""
    signal.signal(signal.SIGTERM, _leave)
    page = Page(sys.stdout)
    try:
        require_usable_machine()
    except LabUnavailableError as error:
        return _dry_run(page, error)
    try:
        _live(page)
    except (LabError, AgentFailedError) as error:
        print(f"\ndemo: {error}", file=sys.stderr)
        return 1
    return 1 if page.failures else 0


def _live(page: Page) -> None:
    with node_lab() as machines:
        tell(page, machines)
    namespaces = (machines.node, machines.client, *machines.pods.values())
    page.expect(
        "no network namespace of the demo is left",
        holds=not any(Path("/run/netns", host.namespace).exists() for host in namespaces),
    )
    page.blank()
    page.say(
        "FAILED: " + "; ".join(page.failures)
        if page.failures
        else "All claims held. make help shows what else there is."
    )


def _dry_run(page: Page, reason: LabUnavailableError) -> int:
    page.section("What the demo needs")
    page.say(f"The demo programs the kernel of machines made of network namespaces. Here: {reason}")
    page.section("The dry run instead")
    page.say("The rules that the agent would program for the Service in hack/demo/manifests:")
    argv = [
        COMMAND,
        "dump",
        f"--manifests={service.MANIFESTS}",
        f"--cluster-cidr={service.CLUSTER_CIDR}",
        f"--hostname-override={service.NODE_NAME}",
        "--output=list",
    ]
    page.blank()
    return subprocess.run(argv, check=False).returncode


def _leave(_number: int, _frame: FrameType | None) -> None:
    # As an exception, so that the machines are removed on the way out.
    sys.exit(1)


if __name__ == "__main__":
    sys.exit(main())
