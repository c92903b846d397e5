# SPDX-License-Identifier: Apache-2.0
"""Commands of the documents that the tests of this folder do not run, and what runs them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from tests.docs.markdown import Command

_KUBECTL: Final = r"kubectl .*"
ELSEWHERE: Final[Mapping[str, str]] = {
    _KUBECTL: "tests/e2e/install, in a cluster",
    r"docker .*": "make image-test, with buildah in Docker's place",
}
"""By regular expression, for the whole line."""


def is_run_here(command: Command) -> bool:
    """Whether the tests of this folder run a command."""
    return not any(re.fullmatch(pattern, command.line) for pattern in ELSEWHERE)


def is_kubectl(command: Command) -> bool:
    """Whether a command is for somebody who reaches a cluster."""
    return re.fullmatch(_KUBECTL, command.line) is not None
