# SPDX-License-Identifier: Apache-2.0
"""The mutants, one test each."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.mutants.hunting import KILLED_BY, Hunt
from tests.e2e.mutants.mutant import Mutant


@pytest.mark.timeout(600)  # It may be several scenarios, each twice.
def test_mutant(
    mutant: Mutant, hunt: Hunt, evidence: Path, record_property: Callable[[str, str], None]
) -> None:
    """A scenario fails with the fault, and passes without."""
    killer = hunt.killer(mutant, evidence / "mutants" / mutant.name)
    record_property(KILLED_BY, killer)
    if not killer:
        scenarios = ", ".join(mutant.scenarios)
        pytest.fail(f"{mutant.description} No scenario notices: {scenarios}", pytrace=False)
