# SPDX-License-Identifier: Apache-2.0
"""Faults by which the node does not follow what changes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from dataplane.state import ClusterState
from rules import health_checks, names
from rules.chain_groups import GroupedChains
from rules.context import FamilyContext
from rules.flows import FlowTargets
from rules.model import ServiceState
from tests.e2e.mutants.faults import in_place_of, in_result_of, in_several_places
from tests.e2e.mutants.mutant import Mutant


def _ready_anywhere(state: ServiceState, _context: FamilyContext) -> Iterator[str]:
    for endpoint_slice in state.slices:
        yield from (one.address for one in endpoint_slice.endpoints if one.ready)


FOLLOWING: Final = (
    Mutant(
        "endpoints-not-followed",
        "Slices are taken as they were when the agent began to follow them.",
        in_place_of(ClusterState, "put_slice", lambda _state, _slice: None),
        ("cluster-ip",),
        "expected an answer by .*got Refused",
    ),
    Mutant(
        "deleted-services-kept",
        "A deleted Service keeps its rules.",
        in_place_of(ClusterState, "delete_service", lambda _state, _key: None),
        ("hairpin",),
        "until no rule is about",
    ),
    Mutant(
        "stale-chains-left",
        "Chains that nobody leads to any more stay in the kernel.",
        # The next look at the whole table would find them.
        in_several_places(
            in_result_of(GroupedChains, "difference", lambda found: found._replace(stale=())),
            in_place_of(names, "is_obsolete_unless_wanted", lambda _: False),
        ),
        ("hairpin",),
        "until no rule is about",
    ),
    Mutant(
        "stale-flows-left",
        "A UDP flow goes on to a pod that is gone.",
        in_place_of(FlowTargets, "is_stale", lambda *_: False),
        ("udp-flow-follows",),
        "all of two, got one",
    ),
    Mutant(
        "health-check-counts-all",
        "The health-check port counts endpoints of other nodes, too.",
        in_place_of(health_checks, "_local_ready_addresses", _ready_anywhere),
        ("load-balancer-local",),
        '"localEndpoints":3',
    ),
    Mutant(
        "health-check-counts-none",
        "The health-check port says that there are no endpoints here.",
        in_place_of(health_checks, "_local_ready_addresses", lambda _state, _context: ()),
        ("load-balancer-local",),
        "status 503",
    ),
)
