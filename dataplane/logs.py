# SPDX-License-Identifier: Apache-2.0
"""Logs go to stderr: stdout belongs to what a command prints."""

from __future__ import annotations

import logging
import sys
from typing import Final

_DEBUG_VERBOSITY: Final = 4
_FORMAT: Final = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def configure_logs(verbosity: int) -> None:
    """Log to stderr; details from ``-v 4`` on, where kube-proxy has its own."""
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format=_FORMAT)
    if verbosity >= _DEBUG_VERBOSITY:
        for name in ("dataplane", "rules"):
            logging.getLogger(name).setLevel(logging.DEBUG)
