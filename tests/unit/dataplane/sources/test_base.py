# SPDX-License-Identifier: Apache-2.0
"""What the default observer writes to the log."""

from __future__ import annotations

import logging

import pytest

from dataplane.errors import SourceError, UnusableObjectError
from dataplane.sources.base import LoggingObserver
from tests.builders import WEB


def test_same_trouble_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    """A trouble that stays is logged once, and again after things went well."""
    observer = LoggingObserver()
    for _ in range(3):
        observer.interrupted("Service", SourceError("refused"))
    observer.interrupted("Node", SourceError("refused"))
    observer.listed("Service", 3)
    observer.interrupted("Service", SourceError("refused"))
    observer.resumed("Service")
    observer.interrupted("Service", SourceError("refused"))
    assert [one.getMessage() for one in caplog.records if one.levelno == logging.WARNING] == [
        "Service: refused; trying again",
        "Node: refused; trying again",
        "Service: refused; trying again",
        "Service: refused; trying again",
    ]


def test_only_defects_have_a_traceback(caplog: pytest.LogCaptureFixture) -> None:
    """Errors on purpose are one line; others bring their traceback."""
    observer = LoggingObserver()
    observer.interrupted("Service", SourceError("refused"))
    observer.interrupted("Service", KeyError("x"))
    assert [bool(record.exc_info) for record in caplog.records] == [False, True]


def test_skipped_object_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """An object that is left out is an error in the log, in the error's own words."""
    error = UnusableObjectError(where="a.yaml", kind="Service", key=WEB, field="f", reason="r")
    LoggingObserver().skipped(error)
    assert caplog.messages == ["left out: a.yaml: Service default/web: f: r"]
