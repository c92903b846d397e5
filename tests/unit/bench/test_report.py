# SPDX-License-Identifier: Apache-2.0
"""The report, for people and for programs."""

from __future__ import annotations

import json

from bench.clock import Sample
from bench.phases import COMMIT, EDIT, FREE, READ, REST
from bench.report import as_json, markdown
from bench.results import Row, Series, SizeResult, Unit

_RESULT = SizeResult(
    services=1000,
    endpoints=10,
    rules=32_000,
    entries=54_000,
    rows=(
        Row(
            "build",
            Series((Sample(9e-6, 8e-6),)),
            limit=12.0,
            unit=Unit.MICROSECONDS_A_RULE,
        ),
        Row(
            "change",
            Series((Sample(0.1, 0.09), Sample(0.3, 0.2))),
            Series((Sample(0.1, 0.1),)),
            limit=1.0,
        ),
    ),
    phases={READ: 0.03, EDIT: 0.0, COMMIT: 0.06, FREE: 0.0, REST: 0.01},
    idle_reads=0,
    idle_commits=0,
)
_MACHINE = {"Linux": "6.1", "processors": "2"}


def test_markdown_gives_each_row_its_verdict() -> None:
    """Values, ratios, limits and verdicts stand in one table of equal columns for each size."""
    text = markdown([_RESULT], _MACHINE)
    assert "Linux 6.1, processors 2" in text
    assert "## 1,000 services x 10 endpoints: 32,000 rules, 54,000 table entries" in text
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len({len(row) for row in rows}) == 1
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    assert cells[2] == ["build", "µs a rule", "9.00 (9.00)", "", "", "", "", "12", "met"]
    assert cells[3] == [
        "change",
        "ms",
        "200.00 (100.00)",
        "100.00 (100.00)",
        "2.000",
        "1.000",
        "1.450",
        "1",
        "missed",
    ]


def test_markdown_says_what_was_touched_and_where_time_went() -> None:
    """Reads and commits of idle syncs and the phases of a change are told below the table."""
    text = markdown([_RESULT], _MACHINE)
    assert "Syncs with nothing to do: 0 table reads, 0 commits." in text
    assert f"{COMMIT} 60.0 ms (60%)" in text
    assert f"{REST} 10.0 ms (10%)" in text


def test_json_keeps_every_sample() -> None:
    """A program finds the machine, the verdicts and all samples in seconds."""
    report = json.loads(as_json([_RESULT], _MACHINE))
    assert report["machine"] == _MACHINE
    (size,) = report["sizes"]
    assert size["services"] == 1000
    assert [row["verdict"] for row in size["rows"]] == ["met", "missed"]
    assert size["rows"][0]["peer"] is None
    assert size["rows"][1]["ours"]["samples"] == [
        {"wall": 0.1, "cpu": 0.09},
        {"wall": 0.3, "cpu": 0.2},
    ]
