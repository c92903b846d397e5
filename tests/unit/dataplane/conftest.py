# SPDX-License-Identifier: Apache-2.0
"""The thread that the servers of a test run on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dataplane.serving.loop import ServingThread


@pytest.fixture
def thread() -> Iterator[ServingThread]:
    """A running thread; what was opened on it is closed after the test."""
    thread = ServingThread()
    thread.start()
    yield thread
    thread.stop()
