# SPDX-License-Identifier: Apache-2.0
"""A machine of the lab: one network namespace."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import MappingProxyType

from lab.commands import run, run_ip
from lab.namespaces import entered
from lab.probe import Conversation, Target, fetch

_STOP_SECONDS = 5.0


class Host:
    """One machine. :class:`lab.machines.Lab` makes it, and ends its processes with it.

    Attributes:
        name: how the lab calls it, and how its echo servers call themselves.
        namespace: the network namespace, as ``ip netns`` knows it.
        lock_file: its own xtables lock, so that no lab waits for another, or for the real machine.
        environment: what its programs see; ``XTABLES_LOCKFILE`` names the lock.
        addresses: of all its links, in the order given, without prefix lengths.
    """

    def __init__(self, name: str, namespace: str, folder: Path) -> None:
        self.name = name
        self.namespace = namespace
        self.lock_file = folder / f"{name}.xtables.lock"
        self.environment: Mapping[str, str] = MappingProxyType(
            {**os.environ, "XTABLES_LOCKFILE": str(self.lock_file)}
        )
        self.addresses: list[str] = []
        self._processes: list[subprocess.Popen[bytes]] = []

    def run(
        self,
        argv: Sequence[str],
        *,
        stdin: str = "",
        check: bool = True,
        timeout_seconds: float = 60.0,
    ) -> subprocess.CompletedProcess[str]:
        """Run a program to its end; raises ``CommandFailedError`` unless told not to check."""
        return run(
            [*self._inside, *argv],
            where=self.name,
            stdin=stdin,
            environment=self.environment,
            check=check,
            timeout_seconds=timeout_seconds,
        )

    def python(self, code: str, *arguments: str) -> str:
        """Run Python code in a process of its own, and return what it printed."""
        return self.run([sys.executable, "-c", code, *arguments]).stdout

    def popen(self, argv: Sequence[str], *, log: Path) -> subprocess.Popen[bytes]:
        """Start a program that writes all its output to ``log``; it is ended with the lab."""
        with log.open("ab") as output:
            process = subprocess.Popen(
                [*self._inside, *argv],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        self._processes.append(process)
        return process

    def ip(self, *commands: str) -> None:
        """Run commands of ``ip``, such as ``route add default via 10.0.0.1``, in one process."""
        run_ip(commands, namespace=self.namespace)

    def sysctl(self, key: str) -> str:
        """Read a setting of the network stack, such as ``net.ipv4.ip_forward``."""
        with self.entered():
            return _setting(key).read_text().strip()

    def set_sysctl(self, key: str, value: str) -> None:
        """Change a setting of the network stack."""
        with self.entered():
            _setting(key).write_text(value)

    def entered(self) -> AbstractContextManager[None]:
        """Let the calling thread live on this machine: see :func:`lab.namespaces.entered`."""
        return entered(self.namespace)

    def converse(
        self, target: Target, *, source: str | None = None, source_port: int = 0, mark: int = 0
    ) -> Conversation:
        """Begin to ask a server from here: see :class:`lab.probe.Conversation`."""
        return Conversation(self, target, source=source, source_port=source_port, mark=mark)

    def fetch(self, url: str, timeout_seconds: float) -> tuple[int, str]:
        """Ask a server from here: see :func:`lab.probe.fetch`."""
        return fetch(self, url, timeout_seconds)

    def end_processes(self) -> None:
        """End what :meth:`popen` started: politely, then by force."""
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            try:
                process.wait(timeout=_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._processes.clear()

    @property
    def _inside(self) -> tuple[str, ...]:
        return ("ip", "netns", "exec", self.namespace)


def _setting(key: str) -> Path:
    return Path("/proc/sys", *key.split("."))
