# SPDX-License-Identifier: Apache-2.0
"""What counts as catching a mutant, as far as that shows without a cluster."""

from __future__ import annotations

import msgspec
import pytest

from tests.e2e.errors import ProxyEndedError, ScenarioFailedError, StepFailedError
from tests.e2e.mutants.hunting import hurried, refuse_ended
from tests.e2e.schema import DEFAULT_SECONDS, Expectation, Probe, Rules, Scenario, Wait


def _failure(cause: Exception) -> ScenarioFailedError:
    """What a scenario fails with because of ``cause``."""
    step, failure = StepFailedError("step 1"), ScenarioFailedError("a scenario")
    step.__cause__, failure.__cause__ = cause, step
    return failure


def test_a_program_that_ended_is_not_caught() -> None:
    """A mutant that does not run says nothing about the scenario."""
    with pytest.raises(ProxyEndedError):
        refuse_ended(_failure(ProxyEndedError("node-a: dataplane ended with 1")))


def test_a_step_that_failed_is_a_catch() -> None:
    """Any other failure counts."""
    refuse_ended(_failure(StepFailedError("not within 8 s")))


def test_only_usual_patience_is_shortened() -> None:
    """What a scenario gives more time, or time itself, it gets."""
    steps = (
        Probe(source="client", to="192.0.2.1:80", expect=Expectation(result="refused")),
        Rules(absent=("KUBE-SVC",), seconds=60),
        Wait(seconds=4, reason="the time-out is 3 s"),
    )
    scenario = Scenario(name="some", description="It says so.", steps=steps)

    probe, rules, wait = hurried(scenario).steps

    assert isinstance(probe, Probe)
    assert probe.seconds < DEFAULT_SECONDS
    assert msgspec.structs.replace(probe, seconds=DEFAULT_SECONDS) == steps[0]
    assert (rules, wait) == steps[1:]
