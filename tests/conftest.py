# SPDX-License-Identifier: Apache-2.0
"""Settings of all tests."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings

from tests.e2e.schema import Program

settings.register_profile("dev", deadline=None, max_examples=60)
settings.register_profile(
    "ci",
    settings.get_profile("dev"),
    derandomize=True,
    print_blob=True,
    # A busy build machine is slow at times; that says nothing about the code.
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("ci" if os.environ.get("CI") == "true" else "dev")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the flags of this project's tests."""
    parser.addoption(
        "--update-golden",
        action="store_true",
        help="write the expected files of tests/golden anew; read the difference before committing",
    )
    scenarios = parser.getgroup("scenarios of tests/e2e")
    scenarios.addoption(
        "--proxy",
        choices=[program.value for program in Program],
        default=Program.DATAPLANE.value,
        help="the program that serves the nodes",
    )
    scenarios.addoption(
        "--proxy-flags",
        default="",
        metavar="FLAGS",
        help="with which flags it runs, such as --proxy-flags=--large-cluster-mode=always",
    )
    scenarios.addoption(
        "--agent",
        default="",
        metavar="COMMAND",
        help="what to run in place of the installed command, with the same arguments",
    )
    scenarios.addoption(
        "--kind",
        default="",
        metavar="IMAGE",
        help="play on the kind cluster that KUBECONFIG names, with pods of our image: "
        "hack/kind/e2e.sh does so",
    )
    scenarios.addoption(
        "--evidence",
        default="build/e2e",
        metavar="FOLDER",
        help="where the rules, logs and objects of failed scenarios go",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Refuse in CI what would make every golden test pass."""
    if config.getoption("--update-golden") and os.environ.get("CI"):
        raise pytest.UsageError("--update-golden is refused in CI: update where you can read it")
