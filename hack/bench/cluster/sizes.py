# SPDX-License-Identifier: Apache-2.0
"""The option ``--sizes``: which clusters are measured, with what, and about how long it takes.

The times are those of a machine with two processors.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

import click

from bench.cluster.session import Plan
from bench.objects import MAX_ENDPOINTS, MAX_SERVICES, Shape

DEFAULT: Final = "100x10,1000x10,5000x10,10000x10,1000x100,paths"
HUGE: Final = Shape(3_600, 59)
"""212,400 endpoints, as a cluster that users told of."""
PATHS: Final = Shape(30_000, 2)
"""As many services as connections are measured with; how many endpoints these have is no matter."""

_SHAPE: Final = re.compile(r"(\d+)x(\d+)")
_MIN_SERVICES: Final = 100
"""Enough for changes of one Service after the other."""

_SITE_SECONDS: Final = 25.0
_FILL_SECONDS_A_SERVICE: Final = 0.012
_CONTENDER_SECONDS: Final = 60.0
_ROUND_SECONDS: Final = 30.0
_ROUND_SECONDS_AN_ENDPOINT: Final = 1.2e-3
_PATHS_SECONDS: Final = 180.0


class Scope(Enum):
    """What is measured at a size."""

    ALL = "all cases"
    CHANGES = "a start and changes"
    PATHS = "connections"


@dataclass(frozen=True, slots=True)
class Size:
    """One cluster and what is measured with it."""

    shape: Shape
    scope: Scope = Scope.ALL

    def seconds(self, contenders: int, plan: Plan) -> float:
        """About how long that takes."""
        if self.scope is Scope.PATHS:
            return _PATHS_SECONDS
        site = _SITE_SECONDS + _FILL_SECONDS_A_SERVICE * self.shape.services
        endpoints = self.shape.services * self.shape.endpoints
        a_round = _ROUND_SECONDS + _ROUND_SECONDS_AN_ENDPOINT * endpoints
        if self.scope is Scope.CHANGES:
            return site + contenders * a_round
        return site + contenders * (_CONTENDER_SECONDS + plan.idle_seconds + plan.rounds * a_round)


_NAMED: Final = {"huge": Size(HUGE, Scope.CHANGES), "paths": Size(PATHS, Scope.PATHS)}


def parse_sizes(_context: click.Context, _option: click.Parameter, text: str) -> Sequence[Size]:
    """Services times endpoints, ``huge`` or ``paths``, separated by commas."""
    return tuple(_parsed(word) for word in text.split(","))


def _parsed(word: str) -> Size:
    if word in _NAMED:
        return _NAMED[word]
    found = _SHAPE.fullmatch(word)
    if found:
        services, endpoints = map(int, found.groups())
        if _MIN_SERVICES <= services <= MAX_SERVICES and 2 <= endpoints <= MAX_ENDPOINTS:  # noqa: PLR2004 - one goes, one stays
            return Size(Shape(services, endpoints))
    raise click.BadParameter(
        f"{word!r} must be services x endpoints such as 1000x10, from {_MIN_SERVICES}x2 to "
        f"{MAX_SERVICES}x{MAX_ENDPOINTS}, or one of {', '.join(_NAMED)}"
    )
