# SPDX-License-Identifier: Apache-2.0
"""The demo: it tells the truth on this machine, and would say if it did not."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import demo
from demo.page import Page

_HACK = Path(demo.__file__).parent.parent


def test_all_claims_of_the_demo_hold() -> None:
    """The demo programs a node, shows real traffic, and ends with exit code 0."""
    done = subprocess.run(
        [sys.executable, "-m", "demo"],
        env={**os.environ, "PYTHONPATH": str(_HACK)},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "All claims held" in done.stdout
    assert "pod web-1  ingress IP  198.51.100.0:80" in done.stdout
    assert "\x1b" not in done.stdout


def test_a_claim_that_does_not_hold_is_marked_and_counted() -> None:
    """A false claim shows where it is made, and makes the demo fail."""
    output = io.StringIO()
    page = Page(output)

    page.expect("water is wet", holds=True)
    page.expect("pigs fly", holds=False)

    assert page.failures == ["pigs fly"]
    assert output.getvalue() == "  [ok] water is wet\n  [FAILED] pigs fly\n"
