# SPDX-License-Identifier: Apache-2.0
"""Whether a cluster is large, so that its tables are made as small as they can be.

The kernel replaces a table as a whole: what a change costs grows with all that stands there. In a
small cluster that is little, and rules that tell people what they are for are worth more.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from itertools import accumulate
from typing import Final

from rules.model import ServiceState

_MANY: Final = 1000
"""Endpoints, as kube-proxy's largeClusterEndpointsThreshold."""
_FEW: Final = 800
"""The way back comes later, so that a number that goes up and down does not rebuild all rules."""


class LargeClusterMode(Enum):
    """When to build the rules of a large cluster."""

    AUTO = "auto"
    """By the number of endpoints."""
    ALWAYS = "always"
    NEVER = "never"


def is_large_cluster(
    mode: LargeClusterMode, services: Iterable[ServiceState], *, was_large: bool
) -> bool:
    """Whether ``services`` have the rules of a large cluster, ``was_large`` being how it was."""
    if mode is not LargeClusterMode.AUTO:
        return mode is LargeClusterMode.ALWAYS
    sizes = (len(one.endpoints) for service in services for one in service.slices)
    limit = _FEW if was_large else _MANY
    # Of a large cluster only a part is counted: this is asked at each sync.
    return any(endpoints > limit for endpoints in accumulate(sizes))
