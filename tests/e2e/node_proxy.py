# SPDX-License-Identifier: Apache-2.0
"""The program that serves one node: ours or kube-proxy, as the run and the scenario want it."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from pathlib import Path
from subprocess import Popen
from typing import Final

from kube.proxies import Proxies
from lab import wait_until
from tests.e2e.errors import ProxyEndedError
from tests.e2e.schema import Program

_STOP_SECONDS: Final = 10.0
_LAST_STACK: Final = "Current thread"
# Scenarios make one small change after another, and would wait for each to be picked up.
_FLAGS: Final = ("--iptables-min-sync-period=100ms",)


class NodeProxy:
    """Starts and ends the program of one node."""

    def __init__(
        self, name: str, proxies: Proxies, usual: Program, flags: Sequence[str] = ()
    ) -> None:
        """Run ``usual`` on the node ``name``, always with ``flags``, unless told otherwise."""
        self._name = name
        self._proxies = proxies
        self._usual = usual
        self._usual_flags = flags
        self._process: Popen[bytes] | None = None
        self._running: tuple[Program, tuple[str, ...]] = (usual, ())

    @property
    def logs(self) -> tuple[Path, ...]:
        """What the programs wrote, as far as they have been started."""
        paths = (self._proxies.agent_log, self._proxies.kube_proxy_log)
        return tuple(path for path in paths if path.exists())

    def start(self, program: Program | None = None, flags: tuple[str, ...] = ()) -> None:
        """Start a program, the usual one if none is named, in place of what runs."""
        self.stop()
        program = program or self._usual
        agent, peer = self._proxies.start_agent, self._proxies.start_kube_proxy
        start = agent if program is Program.DATAPLANE else peer
        # The other program may not know them.
        usual = self._usual_flags if program is self._usual else ()
        self._process = start(*_FLAGS, *usual, *flags)
        self._running = (program, flags)

    def stop(self) -> None:
        """End it politely; its rules stay."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it as a crash would."""
        self._end(signal.SIGKILL)

    def tell_threads(self) -> None:
        """Let our agent write to its log where each of its threads is; it goes on."""
        is_ours = self._running[0] is Program.DATAPLANE
        if self._process is None or not is_ours or self._process.poll() is not None:
            return
        self._process.send_signal(signal.SIGUSR1)
        log = self._proxies.agent_log
        wait_until("the agent tells of its threads", lambda: _LAST_STACK in log.read_text())

    def check(self) -> None:
        """Raise ``ProxyEndedError`` if it has ended by itself."""
        if self._process is not None and self._process.poll() is not None:
            last = "\n".join(self.logs[-1].read_text().splitlines()[-5:]) if self.logs else ""
            raise ProxyEndedError(
                f"{self._name}: {self._running[0].value} ended with {self._process.returncode}: "
                f"{last}"
            )

    def bring_back(self) -> None:
        """Let the usual program run as it usually does."""
        is_alive = self._process is not None and self._process.poll() is None
        if not is_alive or self._running != (self._usual, ()):
            self.start()

    def _end(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(_STOP_SECONDS)
            self._process = None
