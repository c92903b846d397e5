# SPDX-License-Identifier: Apache-2.0
"""Waiting for conditions."""

from __future__ import annotations

import pytest

from lab import NotInTimeError, wait_until


def test_waiting_ends_as_soon_as_the_condition_holds() -> None:
    """The condition is asked until it holds, and not once more."""
    answers = iter([False, False, True])

    wait_until("it holds", lambda: next(answers), pause_seconds=0.001)

    assert list(answers) == []


def test_waiting_in_vain_says_for_what() -> None:
    """The error names the condition and the time."""
    with pytest.raises(NotInTimeError, match=r"waited 0\.05 s in vain until pigs fly"):
        wait_until("pigs fly", lambda: False, seconds=0.05, pause_seconds=0.01)
