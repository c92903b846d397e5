# SPDX-License-Identifier: Apache-2.0
"""What programs use, measured on programs that use a known amount."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from bench.cluster.metering import ProcessTree
from bench.errors import BenchError
from lab import wait_until

_SPIN = "import time\nwhile time.process_time() < {seconds}: pass\n"
_HOLD = "held = b'x' * {size}; print('ready', flush=True); input()"
_MEBIBYTE = 1 << 20


@contextmanager
def _python(code: str) -> Iterator[subprocess.Popen[str]]:
    """A process that runs ``code`` until it ends or its input does."""
    argv = [sys.executable, "-c", code]
    with subprocess.Popen(
        argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield process


def test_the_time_of_children_that_ended_counts() -> None:
    """A tool that is gone has used processor time for whoever started it."""
    spin = _SPIN.format(seconds=0.3)
    code = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {spin!r}])\n"
    with _python(code + "print('ended', flush=True)\ninput()") as process:
        assert process.stdin
        assert process.stdout
        assert process.stdout.readline() == "ended\n"
        assert 0.3 <= ProcessTree(process.pid).cpu_seconds() < 3
        process.stdin.write("\n")


def test_the_memory_of_children_counts_while_they_live() -> None:
    """The peak is that of the whole tree at once, and stays when the child has gone."""
    hold = _HOLD.format(size=64 * _MEBIBYTE)
    code = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {hold!r}])\ninput()"
    with _python(code) as process:
        assert process.stdin
        assert process.stdout
        tree = ProcessTree(process.pid)
        with tree.watched() as peak:
            assert process.stdout.readline() == "ready\n"
            wait_until("the sampler saw it", lambda: peak.rss_bytes > 64 * _MEBIBYTE)
            process.stdin.write("\n")
            process.stdin.flush()
            wait_until("the child has gone", lambda: tree.rss_bytes() < 64 * _MEBIBYTE)
        assert peak.rss_bytes > 64 * _MEBIBYTE


def test_a_busy_program_is_waited_for() -> None:
    """Calm means that all its work is done."""
    with _python(_SPIN.format(seconds=0.5) + "input()") as process:
        tree = ProcessTree(process.pid)
        wait_until("it has begun", lambda: tree.cpu_seconds() > 0.05)
        tree.wait_until_quiet()
        assert tree.cpu_seconds() >= 0.5
        assert process.stdin
        process.stdin.write("\n")


def test_a_program_that_is_never_calm_is_reported() -> None:
    """The wait has an end, with an error that says for whom it was."""
    with _python(_SPIN.format(seconds=60)) as process:
        with pytest.raises(BenchError, match=f"process {process.pid} was still busy"):
            ProcessTree(process.pid).wait_until_quiet(at_most=0.5)
        process.kill()
