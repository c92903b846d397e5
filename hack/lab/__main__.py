# SPDX-License-Identifier: Apache-2.0
"""``python -m lab``: can labs be built here? Exit code 0, or 1 and the reason."""

from __future__ import annotations

import sys

from lab.errors import LabError
from lab.machines import require_usable_machine


def main() -> int:
    """Try, and tell why not."""
    try:
        require_usable_machine()
    except LabError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
