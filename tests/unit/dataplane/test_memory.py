# SPDX-License-Identifier: Apache-2.0
"""When the cyclic collector is at work."""

from __future__ import annotations

import gc
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest

from dataplane.memory import many_values


def test_the_collector_rests_while_any_thread_makes_values() -> None:
    """Who ends first does not wake it for the others."""
    is_begun, is_made = Event(), Event()

    def make() -> None:
        with many_values():
            is_begun.set()
            assert is_made.wait(10)

    with ThreadPoolExecutor(1) as other:
        with many_values():
            making = other.submit(make)
            assert is_begun.wait(10)
        is_resting = not gc.isenabled()
        is_made.set()
        making.result()

    assert is_resting
    assert gc.isenabled()


def test_the_collector_is_at_work_after_a_failure() -> None:
    """An error on the way changes nothing."""
    with pytest.raises(LookupError), many_values():
        raise LookupError
    assert gc.isenabled()
