# SPDX-License-Identifier: Apache-2.0
"""How python-iptables is loaded: quickly, and without a trace in the process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

_LOAD: Final = """\
import os, sys
before = dict(os.environ)
from dataplane.kernel.libiptc import usable_families
usable_families()
assert "iptc" in sys.modules
assert dict(os.environ) == before, "the environment has changed"
print(*sorted({"distutils", "setuptools"} & sys.modules.keys()))
"""


def test_loading_leaves_no_trace_and_runs_no_compiler(tmp_path: Path) -> None:
    """The environment is as before, no build system was loaded, and no compiler was asked."""
    ran = tmp_path / "ran"
    for name in ("gcc", "cc", "ld"):
        compiler = tmp_path / name
        compiler.write_text(f"#!/bin/sh\necho {name} >> {ran}\nexit 1\n")
        compiler.chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}

    done = subprocess.run(
        [sys.executable, "-c", _LOAD], env=environment, capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr
    assert not ran.exists(), ran.read_text()
