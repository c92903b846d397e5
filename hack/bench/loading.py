# SPDX-License-Identifier: Apache-2.0
"""How long the first full load into empty tables takes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bench.agent import Agent, warm_up
from bench.building import count_rules
from bench.clock import Sample, timed
from bench.objects import Shape, make_cluster
from bench.place import FAMILY, Place, restore
from rules.build import build
from rules.text import save_tables


@dataclass(frozen=True, slots=True)
class Pair:
    """One turn of each side at the same work."""

    ours: Sample
    peer: Sample


def write_rules(shape: Shape, file: Path) -> int:
    """Write all rules in the form that the peer reads, and return how many there are."""
    cluster = make_cluster(shape)
    tables = build(cluster.states(), cluster.context)
    file.write_text(save_tables(tables, FAMILY))
    return count_rules(tables)


def measure_load(shape: Shape, place: Place) -> Sample:
    """Load everything once, from decoded objects to committed tables, into empty ones."""
    cluster = make_cluster(shape)
    times: list[Sample] = []
    with place.entered():
        warm_up()
        with timed(times):
            agent = Agent(cluster)
            agent.load()
    return times[0]


def measure_restore(place: Place, rules: Path) -> Sample:
    """Let the peer load everything once, from prepared text, into empty tables."""
    times: list[Sample] = []
    with place.entered(), timed(times):
        restore(rules)
    return times[0]
