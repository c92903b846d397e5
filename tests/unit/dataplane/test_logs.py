# SPDX-License-Identifier: Apache-2.0
"""The form of logs in JSON; that they reach stderr is tested with the command."""

from __future__ import annotations

import json
import logging
import subprocess
import sys

from dataplane.logs import JsonFormatter


def record(message: str, *arguments: object, error: Exception | None = None) -> logging.LogRecord:
    """A record as a logger makes it."""
    exception = (type(error), error, None) if error else None
    return logging.LogRecord(
        "dataplane.x", logging.WARNING, "x.py", 1, message, arguments, exception
    )


def test_a_record_is_one_json_object() -> None:
    """A message has its time in milliseconds, its level, its origin and its text in one line."""
    made = record("lost %d\n%s", 3, "packets")
    line = JsonFormatter().format(made)

    assert "\n" not in line
    assert json.loads(line) == {
        "ts": round(made.created * 1000, 3),
        "level": "warning",
        "logger": "dataplane.x",
        "msg": "lost 3\npackets",
    }


def test_an_exception_is_part_of_the_object() -> None:
    """A traceback does not spill over into lines of its own."""
    line = JsonFormatter().format(record("failed", error=ValueError("broken\ntwice")))

    assert "\n" not in line
    assert json.loads(line)["err"] == "ValueError: broken\ntwice"


def test_a_library_warning_is_a_record() -> None:
    """What a library warns of is a log line like others, in the chosen format."""
    program = (
        "import warnings; from dataplane.logs import configure_logs;"
        " from dataplane.settings import LogSettings;"
        " configure_logs(LogSettings(is_json=True)); warnings.warn('watched twice', RuntimeWarning)"
    )
    output = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    ).stderr

    [line] = [json.loads(line) for line in output.splitlines()]
    assert (line["level"], line["logger"]) == ("warning", "py.warnings")
    assert "RuntimeWarning: watched twice" in line["msg"]
