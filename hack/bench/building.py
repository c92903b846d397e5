# SPDX-License-Identifier: Apache-2.0
"""How long it takes to build rules from decoded objects, and to encode and append them."""

from __future__ import annotations

from dataclasses import dataclass

from bench.agent import warm_up
from bench.clock import Sample, timed, total
from bench.objects import Shape, make_cluster
from bench.place import FAMILY, Place
from dataplane.kernel.encode_chain import ChainEncoder
from dataplane.kernel.libiptc import open_table
from dataplane.kernel.transaction import create_chains
from dataplane.memory import many_values
from rules.build import build
from rules.ir import Tables


@dataclass(frozen=True, slots=True)
class BuildTimes:
    """Seconds a rule, once."""

    build: Sample
    create_chains: Sample
    encode_and_append: Sample
    """Into chains that exist; nothing is committed."""


def measure_building(shape: Shape, place: Place) -> BuildTimes:
    """Build, encode and append everything once, with the collector at rest as in a sync.

    The tables of ``place`` are empty and stay so.
    """
    cluster = make_cluster(shape)
    states, context = cluster.states(), cluster.context
    builds: list[Sample] = []
    creations: list[Sample] = []
    appends: list[Sample] = []
    with many_values(), timed(builds):
        tables = build(states, context)
    encoder = ChainEncoder(FAMILY)
    with place.entered(), many_values():
        warm_up()
        for name, table in tables.items():
            with open_table(FAMILY, name) as handle:
                with timed(creations):
                    create_chains(handle, table.chains)
                with timed(appends):
                    for chain, rules in table.chains.items():
                        handle.append(chain, encoder.entries(rules))
    count = count_rules(tables)
    return BuildTimes(*(total(times).divided_by(count) for times in (builds, creations, appends)))


def count_rules(tables: Tables) -> int:
    """The rules of all chains, and the jumps to them."""
    return sum(len(table.hooks) + sum(map(len, table.chains.values())) for table in tables.values())
