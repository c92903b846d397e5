# SPDX-License-Identifier: Apache-2.0
"""The programs that ``make tools`` provides: those of Kubernetes, and MetalLB's."""

from __future__ import annotations

import subprocess
from enum import Enum
from pathlib import Path
from typing import Final

_BUILD_SCRIPT: Final = Path(__file__).parents[1] / "tools" / "build.sh"


class ProgramSet(Enum):
    """Programs that are built together, and found in one folder."""

    KUBERNETES = "kubernetes"
    """etcd, kube-apiserver, kubectl, kube-proxy and kube-controller-manager."""
    METALLB = "metallb"
    """controller and speaker, and the manifest that they are released with."""


class ToolsMissingError(Exception):
    """There are no programs to run; the message says what to do."""


def programs_folder(programs: ProgramSet = ProgramSet.KUBERNETES) -> Path:
    """The folder with these programs.

    Raises:
        ToolsMissingError: they are not built.
    """
    command = [_BUILD_SCRIPT, programs.value, "--locate"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ToolsMissingError(done.stderr.strip())
    return Path(done.stdout.strip())
