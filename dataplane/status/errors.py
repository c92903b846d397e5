# SPDX-License-Identifier: Apache-2.0
"""Why a question about the node has no answer."""

from __future__ import annotations

from dataplane.errors import DataplaneError


class NothingYetError(DataplaneError):
    """No sync of the family that is asked about has ended yet."""


class UntraceableError(DataplaneError):
    """A packet cannot be followed to its end."""
