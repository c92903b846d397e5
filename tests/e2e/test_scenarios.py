# SPDX-License-Identifier: Apache-2.0
"""The scenarios, one test each."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.backend import Backend
from tests.e2e.errors import ScenarioFailedError
from tests.e2e.running import run_scenario
from tests.e2e.schema import Scenario


def test_scenario(scenario: Scenario, backend: Backend, evidence: Path) -> None:
    """The cluster does what the scenario says."""
    failure = ""
    try:
        run_scenario(scenario, backend, evidence / scenario.name)
    except ScenarioFailedError as error:
        failure = str(error)
    if failure:
        pytest.fail(failure, pytrace=False)
