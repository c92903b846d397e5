# SPDX-License-Identifier: Apache-2.0
"""Durations as Go reads and writes them."""

from __future__ import annotations

import pytest

from dataplane.config.durations import Duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("0s", 0),
        ("30s", 30),
        ("1m30s", 90),
        ("24h0m0s", 86400),
        ("250ms", 0.25),
        ("1.5h", 5400),
        (".5s", 0.5),
        ("5µs", 0.000005),
        ("-1s", -1),
    ],
)
def test_go_durations_are_read(text: str, seconds: float) -> None:
    """All forms that Go's ParseDuration takes become seconds."""
    assert Duration.parse(text) == seconds


@pytest.mark.parametrize(
    "wrong", ["", "30", "s", "1d", "1h 5m", "1hX5m", "s30", "1.2.3s", 30, None]
)
def test_anything_else_is_refused(wrong: object) -> None:
    """A number without a unit, units that Go does not know and stray text are refused."""
    with pytest.raises(ValueError, match="is not a duration such as 30s or 1m30s"):
        Duration.parse(wrong)


@pytest.mark.parametrize("text", ["0s", "30s", "1m30s", "24h", "250ms", "15m", "-1s"])
def test_what_is_written_can_be_read(text: str) -> None:
    """A duration is written in the shortest form that Go reads."""
    assert str(Duration.parse(text)) == text
