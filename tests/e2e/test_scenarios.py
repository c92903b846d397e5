# SPDX-License-Identifier: Apache-2.0
"""The scenarios, one test each."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.cluster import Cluster
from tests.e2e.errors import ScenarioFailedError
from tests.e2e.running import run_scenario
from tests.e2e.schema import Scenario


def test_scenario(scenario: Scenario, cluster: Cluster, evidence: Path) -> None:
    """The cluster does what the scenario says."""
    try:
        run_scenario(scenario, cluster, evidence / scenario.name)
    except ScenarioFailedError as error:
        pytest.fail(str(error), pytrace=False)
