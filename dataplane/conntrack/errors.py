# SPDX-License-Identifier: Apache-2.0
"""The error of this package."""

from __future__ import annotations

from dataplane.errors import KernelError


class ConntrackError(KernelError):
    """The kernel's connection-tracking table cannot be read, or refuses that an entry goes.

    Rules are not affected: only flows that should move stay where they are until the next try.
    """
