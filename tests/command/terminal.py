# SPDX-License-Identifier: Apache-2.0
"""A command in a terminal of its own, as a user sees it."""

from __future__ import annotations

import os
import pty
import select
import struct
import subprocess
import termios
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fcntl import ioctl
from typing import Final

from lab import Host, wait_until

_SIZE: Final = (12, 160)
_EXIT_SECONDS: Final = 10.0


class Terminal:
    """The user's end."""

    def __init__(self, descriptor: int, process: subprocess.Popen[bytes]) -> None:
        self._descriptor = descriptor
        self._process = process
        self._shown = b""

    def wait_for(self, text: str, seconds: float = 10.0) -> None:
        """Wait until the text is written, which was not written before."""
        wait_until(f"the terminal shows {text!r}", lambda: self._has_new(text), seconds=seconds)

    def type(self, keys: str) -> None:
        """Press keys."""
        os.write(self._descriptor, keys.encode())

    def end(self) -> int:
        """Wait for the end of the command, and return its exit code."""
        return self._process.wait(_EXIT_SECONDS)

    def _has_new(self, text: str) -> bool:
        while select.select([self._descriptor], [], [], 0)[0]:
            try:
                self._shown += os.read(self._descriptor, 1 << 16)
            except OSError:  # the other end is closed
                break
        _, found, rest = self._shown.partition(text.encode())
        if found:
            self._shown = rest
        return bool(found)


@contextmanager
def in_terminal(
    host: Host, argv: Sequence[str], size: tuple[int, int] = _SIZE
) -> Iterator[Terminal]:
    """Run a command of ``host`` in a terminal of so many lines and columns.

    It is ended with the block.
    """
    descriptor, other_end = pty.openpty()
    ioctl(other_end, termios.TIOCSWINSZ, struct.pack("HHHH", *size, 0, 0))
    with host.entered():
        process = subprocess.Popen(
            argv,
            env=_environment(host),
            stdin=other_end,
            stdout=other_end,
            stderr=other_end,
            start_new_session=True,
        )
    os.close(other_end)
    try:
        yield Terminal(descriptor, process)
    finally:
        process.kill()
        process.wait()
        os.close(descriptor)


def _environment(host: Host) -> dict[str, str]:
    """Without the size of another terminal, which would count more than that of this one."""
    given = {**host.environment, "TERM": "xterm"}
    return {name: value for name, value in given.items() if name not in ("COLUMNS", "LINES")}
