# SPDX-License-Identifier: Apache-2.0
"""The Kubernetes programs that ``make tools`` provides."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Final

_BUILD_SCRIPT: Final = Path(__file__).parents[2] / "hack" / "tools" / "build.sh"


class ToolsMissingError(Exception):
    """There are no programs to run; the message says what to do."""


def programs_folder() -> Path:
    """The folder with etcd, kube-apiserver, kubectl, kube-proxy and kube-controller-manager.

    Raises:
        ToolsMissingError: they are not built.
    """
    done = subprocess.run([_BUILD_SCRIPT, "--locate"], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ToolsMissingError(done.stderr.strip())
    return Path(done.stdout.strip())
