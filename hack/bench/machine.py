# SPDX-License-Identifier: Apache-2.0
"""On what the times were taken: they mean little without it."""

from __future__ import annotations

import os
import platform

from lab.commands import run


def describe_machine() -> dict[str, str]:
    """Versions, processors, and how busy they were."""
    return {
        "Linux": platform.release(),
        "iptables": run(["iptables-legacy", "--version"]).stdout.split()[1],
        "Python": platform.python_version(),
        "processors": str(os.cpu_count()),
        "load before": f"{os.getloadavg()[0]:.1f}",
    }
