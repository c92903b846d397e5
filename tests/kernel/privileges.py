# SPDX-License-Identifier: Apache-2.0
"""Doing without root for a moment."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_NOBODY: Final = 65534


@contextmanager
def without_privileges() -> Iterator[None]:
    """Let all threads of this process be nobody's for the duration of the block."""
    os.seteuid(_NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
