# SPDX-License-Identifier: Apache-2.0
"""One test a mutant; each line says what became of it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from tests.e2e.cluster import Cluster
from tests.e2e.loading import load_folder
from tests.e2e.mutants.catalogue import MUTANTS
from tests.e2e.mutants.hunting import KILLED_BY, Hunt

_HERE: Final = Path(__file__).parent


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make a test of each mutant."""
    if "mutant" in metafunc.fixturenames:
        metafunc.parametrize("mutant", MUTANTS, ids=lambda one: one.name)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of this folder."""
    for item in items:
        if _HERE in item.path.parents:
            item.add_marker(pytest.mark.mutants)


def pytest_report_teststatus(report: pytest.TestReport) -> tuple[str, str, str] | None:
    """Say which scenario has killed a mutant, or that none has."""
    if report.when != "call" or not report.fspath.startswith("tests/e2e/mutants/"):
        return None
    killer = dict(report.user_properties).get(KILLED_BY)
    if killer:
        return "passed", ".", f"{KILLED_BY} {killer}"
    return "failed", "F", "SURVIVED" if killer == "" else "FAILED"


@pytest.fixture(scope="session")
def hunt(cluster: Cluster) -> Hunt:
    """Scenarios on the cluster of this run."""
    scenarios = load_folder(_HERE.parent / "scenarios")
    return Hunt(cluster, {scenario.name: scenario for scenario in scenarios})
