# SPDX-License-Identifier: Apache-2.0
"""What can go wrong with a lab, each with a message that says what to do."""

from __future__ import annotations

from collections.abc import Sequence


class LabError(Exception):
    """Any error below."""


class LabUnavailableError(LabError):
    """This machine, or this user, cannot build network namespaces."""


class CommandFailedError(LabError):
    """A command did not end with 0, or did not end in time."""

    def __init__(self, *, where: str, argv: Sequence[str], outcome: str, output: str) -> None:
        self.output = output
        super().__init__(f"{where}: {' '.join(argv)}: {outcome}: {output.strip() or '(no output)'}")


class NotInTimeError(LabError):
    """A condition that was waited for did not come true."""

    def __init__(self, what: str, seconds: float) -> None:
        super().__init__(f"waited {seconds:g} s in vain until {what}")
