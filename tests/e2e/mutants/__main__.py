# SPDX-License-Identifier: Apache-2.0
"""The agent's command with a fault: ``python -m tests.e2e.mutants NAME run ...``."""

from __future__ import annotations

import sys

from dataplane import cli
from tests.e2e.mutants.catalogue import BY_NAME


def main() -> None:
    """Put the fault in, then do as the command ``dataplane`` does."""
    name = sys.argv.pop(1)
    BY_NAME[name].fault(setattr)
    cli.main()


if __name__ == "__main__":
    main()
