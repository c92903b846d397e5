# SPDX-License-Identifier: Apache-2.0
"""The machine that a side programs, with an xtables lock of its own, and the peer's programs."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.errors import BenchError
from lab import Host
from lab.namespaces import entered
from rules.ir import BUILT_IN_CHAINS, Family, TableName

FAMILY = Family.IPV4

_LOCK_VARIABLE = "XTABLES_LOCKFILE"
_TIMEOUT_SECONDS = 120.0
_EMPTY = "".join(
    f"*{table.value}\n{''.join(f':{chain} ACCEPT [0:0]{chr(10)}' for chain in chains)}COMMIT\n"
    for table, chains in BUILT_IN_CHAINS.items()
)


@dataclass(frozen=True, slots=True)
class Place:
    """A machine, by what a process of its own needs to go there."""

    namespace: str
    lock_file: str

    @classmethod
    def of(cls, host: Host) -> Place:
        """Where ``host`` is."""
        return cls(host.namespace, str(host.lock_file))

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Let the calling thread program this machine's tables in the block."""
        os.environ[_LOCK_VARIABLE] = self.lock_file
        try:
            with entered(self.namespace):
                yield
        finally:
            del os.environ[_LOCK_VARIABLE]


def restore(rules: Path, *options: str) -> None:
    """Let the peer read ``rules`` on the machine that the calling thread has entered.

    Raises:
        BenchError: it did not accept them.
    """
    with rules.open("rb") as stdin:
        _run("iptables-legacy-restore", "-w", *options, stdin=stdin.fileno())


def empty(place: Place, folder: Path) -> None:
    """Remove all rules and chains."""
    file = folder / "empty.rules"
    file.write_text(_EMPTY)
    with place.entered():
        restore(file)


def saved_rules(place: Place) -> tuple[str, ...]:
    """What stands in the tables, without counters, in the kernel's order."""
    with place.entered():
        texts = [_run("iptables-legacy-save", "-t", table.value) for table in TableName]
    return tuple(
        line.partition(" [")[0] if line.startswith(":") else line
        for text in texts
        for line in text.splitlines()
        if not line.startswith("#")
    )


def _run(*argv: str, stdin: int = subprocess.DEVNULL) -> str:
    done = subprocess.run(
        argv, stdin=stdin, capture_output=True, text=True, timeout=_TIMEOUT_SECONDS, check=False
    )
    if done.returncode != 0:
        raise BenchError(f"{' '.join(argv)}: exit code {done.returncode}: {done.stderr.strip()}")
    return done.stdout
