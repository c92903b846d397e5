# SPDX-License-Identifier: Apache-2.0
"""What can go wrong while a scenario runs, each with a message that says what."""

from __future__ import annotations


class StepFailedError(Exception):
    """A step failed: any error below, or which step it was."""


class ExpectationFailedError(StepFailedError):
    """The cluster does not do what the scenario says."""


class UnknownNameError(StepFailedError):
    """The scenario names something that does not exist (yet)."""


class ApiRefusedError(StepFailedError):
    """The API server did not do what it was asked to."""


class NotOfferedError(StepFailedError):
    """The cluster cannot do what a step says, which the scenario does not require."""


class ProxyEndedError(StepFailedError):
    """The program that serves a node ended by itself."""


class ScenarioFailedError(Exception):
    """A scenario failed: at which step, why, and where to look."""
