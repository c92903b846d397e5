# SPDX-License-Identifier: Apache-2.0
"""The node of the documents: hack/docs/manifests programmed by the installed command."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Final

from lab import NodeLab, node_lab, wait_until
from lab.plan import POD_1, POD_2, DualStack, Pod
from tests.docs.console import PATH, is_logged, type_in
from tests.docs.guides import FOLDER
from tests.docs.markdown import Command

MANIFESTS: Final = FOLDER / "manifests"
_COMMAND: Final = str(Path(sys.executable).with_name("dataplane"))
GIVEN: Final = ("FLAGS", "LOCK", "XTABLES_LOCKFILE")
"""Variables that a document tells the reader to set, and that are others here."""
_REMOTE_POD: Final = Pod("web-3", DualStack("10.244.3.2", "fd00:10:244:3::2"))
_PATIENCE_SECONDS: Final = 20.0


class Stand:
    """The node, its clients and pods, and the agent once it is started."""

    def __init__(self, machines: NodeLab, folder: Path) -> None:
        self.machines = machines
        self.node = machines.node
        self.manifests = folder / "manifests"
        shutil.copytree(MANIFESTS, self.manifests)
        self._lock = folder / "agent.lock"
        self._log = folder / "agent.log"
        self._flags = (
            f"--manifests {self.manifests} --hostname-override node-a --cluster-cidr 10.244.0.0/16"
        )

    def start(self, flags: Sequence[str] = ()) -> None:
        """Start the agent, and wait until its rules stand."""
        self.node.popen(
            [
                *(_COMMAND, "run", *self._flags.split(), f"--lock-file={self._lock}"),
                # The size of conntrack's table is one for the whole machine.
                *("--conntrack-max-per-core=0", "--iptables-min-sync-period=100ms", *flags),
            ],
            log=self._log,
        )
        self.wait_for("synced ipv6")

    def stop(self) -> None:
        """End the agent; its rules stay."""
        self.node.end_processes()

    def wait_for(self, text: str) -> None:
        """Wait until the agent has written a line with ``text``, in which ``...`` is anything."""
        wait_until(
            f"the agent says {text!r}",
            lambda: is_logged(text, self._log.read_text()),
            seconds=_PATIENCE_SECONDS,
        )

    def type_in(self, commands: Sequence[Command], before: str) -> None:
        """Type commands on the node."""
        type_in(
            commands,
            before=before,
            inside=["ip", "netns", "exec", self.node.namespace],
            environment=self._environment,
        )

    def metrics(self) -> set[str]:
        """The names of all metrics that the agent has."""
        status, text = self.node.fetch("http://127.0.0.1:10249/metrics", _PATIENCE_SECONDS)
        assert status == HTTPStatus.OK
        return set(re.findall(r"^# TYPE (\w+) ", text, flags=re.MULTILINE))

    @property
    def _environment(self) -> Mapping[str, str]:
        return {
            **self.node.environment,
            "PATH": PATH,
            "FLAGS": self._flags,
            "LOCK": str(self._lock),
        }


@contextmanager
def stand(folder: Path) -> Iterator[Stand]:
    """Build the node; the agent is not started yet."""
    with node_lab((POD_1, POD_2), remote_pods=(_REMOTE_POD,)) as machines:
        machines.serve(80)
        yield Stand(machines, folder)
