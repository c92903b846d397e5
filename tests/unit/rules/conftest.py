# SPDX-License-Identifier: Apache-2.0
"""What the tests of the rules share."""

from __future__ import annotations

import pytest

from tests.address_plan import PLANS, AddressPlan


@pytest.fixture(params=PLANS, ids=lambda plan: plan.family.value)
def plan(request: pytest.FixtureRequest) -> AddressPlan:
    """The addresses of each family in turn."""
    chosen: AddressPlan = request.param
    return chosen
