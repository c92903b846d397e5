# SPDX-License-Identifier: Apache-2.0
"""What a machine must offer for labs to work on it."""

from __future__ import annotations

import os
import shutil

from lab.errors import LabUnavailableError

_PROGRAMS = ("ip", "iptables-legacy", "ip6tables-legacy")


def require_root_and_programs() -> None:
    """Raise ``LabUnavailableError`` if it is certain that no lab can be built here."""
    if os.geteuid() != 0:
        raise LabUnavailableError(
            "network namespaces need root: run this as root, for example with sudo"
        )
    missing = [program for program in _PROGRAMS if shutil.which(program) is None]
    if missing:
        raise LabUnavailableError(
            f"not found: {', '.join(missing)}: install the packages iproute2 and iptables"
        )
