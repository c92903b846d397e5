# SPDX-License-Identifier: Apache-2.0
"""A trace as a whole: what was asked, and all that was found."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from fractions import Fraction

from rules.trace.absence import Absence
from rules.trace.packet import Assumption, Packet, Step
from rules.trace.tracer import Outcome, Path

Assumptions = tuple[Assumption, ...]


@dataclass(frozen=True, slots=True)
class Trace:
    """What becomes of a packet."""

    packet: Packet
    paths: tuple[Path, ...]
    absences: tuple[Absence, ...] = ()
    """Endpoints that it cannot reach, as far as it is known which there are."""

    def odds(self) -> dict[Assumptions, dict[Outcome, Fraction]]:
        """The odds of each outcome, which add up to 1 for each set of assumptions."""
        found: defaultdict[Assumptions, defaultdict[Outcome, Fraction]] = defaultdict(
            lambda: defaultdict(Fraction)
        )
        for path in self.paths:
            found[path.assumptions][path.outcome] += path.odds
        return {assumptions: dict(outcomes) for assumptions, outcomes in found.items()}

    def shared_steps(self) -> tuple[Step, ...]:
        """The rules that the packet meets whichever way it takes, before ways part."""
        first, *others = (path.steps for path in self.paths)
        length = 0
        while length < len(first) and all(
            steps[length : length + 1] == first[length : length + 1] for steps in others
        ):
            length += 1
        return first[:length]
