# SPDX-License-Identifier: Apache-2.0
"""Commands of the documents that cannot be run by a test, each with the reason."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from tests.docs.markdown import Command

NOT_RUN: Final[Mapping[str, str]] = {
    r"kubectl .*": "needs a real cluster; that its objects exist is checked",
    r"docker .*": "needs Docker; that the files exist is checked",
    r"export (FLAGS|LOCK)=.*": "the reader's own values; that the flags exist is checked",
}
"""By regular expression, for the whole line."""


def is_run(command: Command) -> bool:
    """Whether tests run a command."""
    return not any(re.fullmatch(pattern, command.line) for pattern in NOT_RUN)
