# SPDX-License-Identifier: Apache-2.0
"""What no work of ours can save: the time of the language and of the kernel, measured alone."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Final

from dataplane.kernel.table_info import table_info
from dataplane.kernel.table_reading import TableReading
from lab import Host
from rules.ir import Family, TableName

_ROUNDS: Final = 5
_LOAD: Final = "import dataplane.run, kubernetes.config"
"""What each start needs before it can ask the API server anything."""


@dataclass(frozen=True, slots=True)
class Floors:
    """Medians, in seconds."""

    loading: float
    """Of the interpreter's start and of its loading the agent's modules, without running any."""
    reading: float
    """Of the kernel's copying all tables out: the least that an idle sync period must do."""


def measure_floors(agent: Sequence[str], node: Host) -> Floors:
    """The floors under ``agent``, whose Python stands beside it, on ``node`` with its rules."""
    python = Path(agent[0]).with_name("python")
    with node.entered():
        return Floors(_seconds(lambda: _load(python)), _seconds(_read_tables))


def _seconds(work: Callable[[], None]) -> float:
    samples = []
    for _ in range(_ROUNDS):
        started = perf_counter()
        work()
        samples.append(perf_counter() - started)
    return median(samples)


def _load(python: Path) -> None:
    # Safe path: the modules are those of the installed agent, not of the working directory.
    subprocess.run([python, "-P", "-c", _LOAD], check=True)


def _read_tables() -> None:
    for family in Family:
        for table in TableName:
            TableReading(family, table, table_info(family, table))
