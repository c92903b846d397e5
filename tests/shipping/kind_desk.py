# SPDX-License-Identifier: Apache-2.0
"""A machine on which ``docker``, ``kind`` and ``kubectl`` do nothing but note their calls.

What e2e.sh does with them can be seen without Docker; what they would have done cannot.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from tests.shipping.places import HACK

PROGRAMS: Final = ("docker", "kind", "kubectl")
INTERNAL_SERVER: Final = "https://kube-dataplane-e2e-control-plane:6443"

_TOOLS: Final = ("bash", "cat", "cp", "dirname", "env", "grep", "mkdir", "mktemp", "rm", "sleep")
"""All of the system that the script and the programs below may use."""
_PROGRAM: Final = r"""#!/bin/bash
call="${0##*/} $*"
cd "${BASH_SOURCE%/*}/../state"
printf '%s\n' "$call" >>calls
while [ -s held ] && [[ $call == $(cat held)* ]]; do sleep 0.02; done
while read -r beginning; do
  if [[ $call == "$beginning"* ]]; then
    echo "it fails here" >&2
    exit 9
  fi
done <failing
case $call in
  "kind get clusters") cat clusters ;;
  "kind get kubeconfig --internal "*) cat internal ;;
  "kind get nodes "*) printf '%s\n' node-1 node-2 ;;
  "kubectl apply --filename "*) cp "${@: -1}" applied.yaml ;;
esac
"""


class KindDesk:
    """Such a machine.

    Attributes:
        results: where the script leaves what a failed run needs.
    """

    def __init__(self, folder: Path, missing: Iterable[str] = ()) -> None:
        """Keep all in ``folder``; without the programs that are ``missing``."""
        self.results = folder / "results"
        self._state = folder / "state"
        self._programs = folder / "programs"
        self._scratch = folder / "scratch"
        for one in (self._state, self._programs, self._scratch):
            one.mkdir()
        for tool in _TOOLS:
            found = shutil.which(tool)
            assert found is not None, tool
            (self._programs / tool).symlink_to(found)
        for name in set(PROGRAMS) - set(missing):
            program = self._programs / name
            program.write_text(_PROGRAM, encoding="utf-8")
            program.chmod(0o755)
        self.fail()
        self.set_clusters("another")
        self._write("internal", f"clusters: [{{cluster: {{server: '{INTERNAL_SERVER}'}}}}]\n")

    @property
    def calls(self) -> list[str]:
        """All calls so far, in their order."""
        file = self._state / "calls"
        return file.read_text(encoding="utf-8").splitlines() if file.exists() else []

    @property
    def applied(self) -> str:
        """The manifest that was applied."""
        return (self._state / "applied.yaml").read_text(encoding="utf-8")

    @property
    def leftovers(self) -> list[str]:
        """Names of temporary files that are still there."""
        return [one.name for one in self._scratch.iterdir()]

    def set_clusters(self, *names: str) -> None:
        """The clusters that kind knows."""
        self._write("clusters", "".join(f"{name}\n" for name in names))

    def fail(self, *calls: str) -> None:
        """Let calls that begin like one of these fail, and no others."""
        self._write("failing", "".join(f"{call}\n" for call in calls))

    def hold(self, call: str) -> None:
        """Let calls that begin like this wait; an empty text releases them."""
        self._write("held", call)

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        """Start the script."""
        return subprocess.Popen(
            # Who starts the tests in the background ignores SIGINT, and bash would go on doing so.
            ["env", "--default-signal=INT", HACK / "kind" / "e2e.sh", *arguments],
            env={
                **os.environ,
                "PATH": str(self._programs),
                "TMPDIR": str(self._scratch),
                "KIND_RESULTS": str(self.results),
                **environment,
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str, **environment: str) -> tuple[int, str]:
        """Run the script to its end; returns the exit code, and what it said on stderr."""
        process = self.start(*arguments, **environment)
        _, said = process.communicate(timeout=60)
        return process.returncode, said

    def _write(self, name: str, text: str) -> None:
        (self._state / name).write_text(text, encoding="utf-8")
