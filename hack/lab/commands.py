# SPDX-License-Identifier: Apache-2.0
"""Running programs, with an error that shows what they said."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Mapping, Sequence

from lab.errors import CommandFailedError


def run(
    argv: Sequence[str],
    *,
    where: str = "this machine",
    stdin: str = "",
    environment: Mapping[str, str] | None = None,
    check: bool = True,
    timeout_seconds: float = 60.0,
) -> subprocess.CompletedProcess[str]:
    """Run ``argv`` to its end; ``where`` names the machine in the error of a failure."""
    try:
        done = subprocess.run(
            argv,
            input=stdin,
            env=environment,
            capture_output=True,
            text=True,
            timeout=timeout_seconds,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        outcome = f"still running after {timeout_seconds:g} s"
        raise CommandFailedError(where=where, argv=argv, outcome=outcome, output="") from error
    if check and done.returncode != 0:
        outcome = f"exit code {done.returncode}"
        output = done.stderr or done.stdout
        raise CommandFailedError(where=where, argv=argv, outcome=outcome, output=output)
    return done


def run_ip(
    commands: Iterable[str], *, namespace: str | None = None, keep_going: bool = False
) -> None:
    """Run commands of ``ip`` in one process, optionally inside a namespace."""
    inside = ["-n", namespace] if namespace else []
    force = ["-force"] if keep_going else []
    run(
        ["ip", *inside, *force, "-batch", "-"],
        where=namespace or "this machine",
        stdin="\n".join(commands) + "\n",
        check=not keep_going,
    )
