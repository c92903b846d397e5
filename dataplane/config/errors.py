# SPDX-License-Identifier: Apache-2.0
"""What is wrong with a configuration."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from dataplane.errors import DataplaneError


class Problem(NamedTuple):
    """A field that cannot be used."""

    path: str
    """Such as ``iptables.syncPeriod``; empty for the whole document."""
    reason: str

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}" if self.path else self.reason


class ConfigError(DataplaneError):
    """A configuration that cannot be used.

    Attributes:
        problems: all that is wrong with it, as far as it could be read.
    """

    def __init__(self, where: str, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__(f"{where}: {'; '.join(map(str, self.problems))}")
