# SPDX-License-Identifier: Apache-2.0
"""One test a scenario, all on one cluster. Without the programs they fail; nothing is skipped."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from kube.programs import programs_folder
from kube.proxies import INSTALLED
from tests.e2e.backend import Backend
from tests.e2e.cluster import Cluster, running_cluster
from tests.e2e.kind.cluster import kind_cluster
from tests.e2e.kind.selection import why_not
from tests.e2e.loading import ScenarioError, load_folder
from tests.e2e.schema import Program, Scenario

_HERE: Final = Path(__file__).parent
_LARGE_LAYOUT: Final = "--large-cluster-mode=always"


def _scenarios() -> tuple[Scenario, ...]:
    try:
        return load_folder(_HERE / "scenarios")
    except ScenarioError as error:
        raise pytest.Collector.CollectError(str(error)) from error


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make a test of each scenario that the program of this run is held to."""
    if "scenario" in metafunc.fixturenames:
        program = Program(metafunc.config.getoption("--proxy"))
        is_on_kind = bool(metafunc.config.getoption("--kind"))
        scenarios = [
            one
            for one in _scenarios()
            if program not in one.differences and not (is_on_kind and why_not(one))
        ]
        metafunc.parametrize("scenario", scenarios, ids=lambda one: one.name)


def pytest_report_collectionfinish(config: pytest.Config) -> list[str]:
    """Name the scenarios that cannot be played on kind, and why not."""
    if not config.getoption("--kind"):
        return []
    reasons = {one.name: why_not(one) for one in _scenarios()}
    return [f"not on kind: {name}: {reason}" for name, reason in reasons.items() if reason]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark the tests of this folder, and leave out what the flags of this run make untrue."""
    for item in items:
        if _HERE in item.path.parents:
            item.add_marker(pytest.mark.cluster)
    if _LARGE_LAYOUT in shlex.split(config.getoption("--proxy-flags")):
        untrue = [item for item in items if item.get_closest_marker("classic_layout")]
        config.hook.pytest_deselected(items=untrue)
        items[:] = [item for item in items if item not in untrue]


@pytest.fixture(scope="session")
def program(pytestconfig: pytest.Config) -> Program:
    """Who serves the nodes in this run."""
    return Program(pytestconfig.getoption("--proxy"))


@pytest.fixture(scope="session")
def cluster(pytestconfig: pytest.Config, program: Program) -> Iterator[Cluster]:
    """The cluster of this run."""
    agent = shlex.split(pytestconfig.getoption("--agent"))
    flags = shlex.split(pytestconfig.getoption("--proxy-flags"))
    with running_cluster(programs_folder(), program, agent or INSTALLED, flags) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def backend(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Backend]:
    """The cluster that scenarios are played on."""
    image = request.config.getoption("--kind")
    if image:
        with kind_cluster(image, tmp_path_factory.mktemp("kind")) as backend:
            yield backend
    else:
        # Only here: it takes programs and root, which a kind cluster does without.
        yield request.getfixturevalue("cluster")


@pytest.fixture
def evidence(pytestconfig: pytest.Config, program: Program) -> Path:
    """Where the rules, logs and objects of failed scenarios go."""
    folder = Path(pytestconfig.getoption("--evidence"))
    return pytestconfig.rootpath / folder / program.value
