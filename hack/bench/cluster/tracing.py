# SPDX-License-Identifier: Apache-2.0
"""Table replacements and the xtables lock, as the kernel's own trace events tell them.

The events are ``setsockopt``, by which legacy tables are replaced, and ``flock_lock_inode``, for
those processes only that descend from the thread that starts the trace. That needs tracefs, and
costs what is traced some microseconds an event; where there is no tracefs nothing is told.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import get_native_id
from typing import Final

from lab import LabError
from lab.commands import run

_MOUNTED: Final = Path("/sys/kernel/tracing")
_REPLACE: Final = "optname == 64 && (level == 0 || level == 41)"
"""IPT_SO_SET_REPLACE and IP6T_SO_SET_REPLACE."""
_BUFFER_KIBIBYTES: Final = "2048"
_LINE: Final = re.compile(r"-(?P<task>\d+)\s+\[\d+\]\s+\S+\s+(?P<at>\d+\.\d+): (?P<event>.*)")
_ENTERED: Final = re.compile(r"sys_setsockopt\(.*optname: (?:0x)?40\b")
_LEFT: Final = re.compile(r"sys_setsockopt -> (?P<result>\S+)")
_LOCK: Final = re.compile(
    r"flock_lock_inode: .*fl_owner=(?P<owner>\S+) .*fl_type=(?P<type>\S+) .*ret=(?P<result>-?\d+)"
)


@dataclass(frozen=True, slots=True)
class Traced:
    """What happened since the last look, in seconds."""

    replacements: tuple[float, ...]
    """How long each call took that replaced a table."""
    lock_holds: tuple[float, ...]
    """How long the lock was held each time."""


class Trace:
    """An instance of the kernel's tracer."""

    def __init__(self, instance: Path) -> None:
        self._instance = instance

    def follow_lock(self, lock_file: Path) -> None:
        """From now on, tell of this lock."""
        lock_file.touch(mode=0o600)
        self._set("events/filelock/flock_lock_inode/filter", f"i_ino == {lock_file.stat().st_ino}")

    def take(self) -> Traced:
        """All since the last call."""
        lines = (self._instance / "trace").read_text().splitlines()
        self._set("trace", "")
        return understood(lines)

    def start(self) -> None:
        """Begin with what the calling thread starts."""
        self._set("trace_clock", "mono")
        self._set("buffer_size_kb", _BUFFER_KIBIBYTES)
        self._set("events/syscalls/sys_enter_setsockopt/filter", _REPLACE)
        self._set("options/event-fork", "1")
        self._set("set_event_pid", str(get_native_id()))
        for event in (
            "syscalls/sys_enter_setsockopt",
            "syscalls/sys_exit_setsockopt",
            "filelock/flock_lock_inode",
        ):
            self._set(f"events/{event}/enable", "1")

    def _set(self, name: str, value: str) -> None:
        (self._instance / name).write_text(value)


@contextmanager
def tracing() -> Iterator[Trace | None]:
    """Trace in the block what the calling thread starts, or nothing if it cannot be done here."""
    with _tracefs() as root:
        instance = root / "instances" / f"kube-dataplane-{os.getpid()}"
        try:
            instance.mkdir()
        except OSError:
            yield None
            return
        try:
            yield _started(Trace(instance))
        finally:
            instance.rmdir()


def understood(lines: Iterable[str]) -> Traced:
    """What lines of a trace mean."""
    begun: dict[str, float] = {}
    held: dict[str, float] = {}
    replacements: list[float] = []
    holds: list[float] = []
    for line in lines:
        found = _LINE.search(line)
        if found is None:
            continue
        task, at, event = found["task"], float(found["at"]), found["event"]
        lock = _LOCK.match(event)
        if lock and lock["type"] == "F_UNLCK":
            # A process that waits in vain closes the file as well, and holds nothing.
            if lock["owner"] in held:
                holds.append(at - held.pop(lock["owner"]))
        elif lock and lock["result"] == "0":
            held[lock["owner"]] = at
        elif _ENTERED.match(event):
            begun[task] = at
        elif _LEFT.match(event) and task in begun:
            replacements.append(at - begun.pop(task))
    return Traced(tuple(replacements), tuple(holds))


def _started(trace: Trace) -> Trace | None:
    try:
        trace.start()
    except OSError:
        return None
    return trace


@contextmanager
def _tracefs() -> Iterator[Path]:
    """Where it is mounted, or mount it for the duration of the block."""
    if (_MOUNTED / "instances").is_dir():
        yield _MOUNTED
        return
    with tempfile.TemporaryDirectory() as folder:
        try:
            run(["mount", "-t", "tracefs", "none", folder])
        except LabError:
            yield Path(folder)
            return
        try:
            yield Path(folder)
        finally:
            run(["umount", folder])
