# SPDX-License-Identifier: Apache-2.0
"""From built-in chain to built-in chain."""

from __future__ import annotations

import pytest

from rules.ir import BUILT_IN_CHAINS, DROP, ConntrackState, Dnat, Masquerade, Rule, TableName
from rules.trace.rule_set import ForeignRule, RuleSet
from rules.trace.tracer import Fate, Outcome
from tests.unit.rules.trace.support import SERVER, PacketFields, follow, rule_set

_NODE = "192.0.2.11"
_POD = "10.244.1.2"


def _marking_every_chain() -> RuleSet:
    """Rules that do nothing but be met, one in each built-in chain."""
    seen = (ForeignRule(Rule(""), target_text="", goes_on=True),)
    nat, filters = (
        dict.fromkeys(BUILT_IN_CHAINS[table], seen) for table in (TableName.NAT, TableName.FILTER)
    )
    return rule_set(nat, filters)


@pytest.mark.parametrize(
    ("fields", "stages", "fate"),
    [
        ({}, ["nat PREROUTING", "filter FORWARD", "nat POSTROUTING"], Fate.SENT),
        (
            {"destination": _NODE},
            ["nat PREROUTING", "filter INPUT", "nat INPUT"],
            Fate.DELIVERED,
        ),
        (
            {"is_from_this_node": True},
            ["nat OUTPUT", "filter OUTPUT", "nat POSTROUTING"],
            Fate.SENT,
        ),
        (
            {"is_from_this_node": True, "destination": _NODE},
            ["nat OUTPUT", "filter OUTPUT", "nat POSTROUTING", "filter INPUT"],
            Fate.DELIVERED,
        ),
    ],
)
def test_chains_come_in_the_order_of_the_kernel(
    fields: PacketFields, stages: list[str], fate: Fate
) -> None:
    """Through, to, from and within this node; nat sees a connection once in each direction."""
    (path,) = follow(_marking_every_chain(), **fields)

    assert [f"{step.table.value} {step.chain}" for step in path.steps] == stages
    assert path.outcome.fate is fate


@pytest.mark.parametrize(
    ("address", "destination", "fate"),
    [(_POD, SERVER, Fate.SENT), (_POD, _NODE, Fate.SENT), (_NODE, SERVER, Fate.DELIVERED)],
)
def test_routing_goes_by_the_translated_destination(
    address: str, destination: str, fate: Fate
) -> None:
    """Where a packet was addressed to before its translation matters no more."""
    rules = rule_set({"PREROUTING": (Rule(Dnat(address, 8080)),)})
    (path,) = follow(rules, destination=destination)

    assert path.outcome == Outcome(
        fate, f"{address}:8080", is_translated=True, is_masqueraded=False
    )


def test_the_filter_sees_the_translated_destination() -> None:
    """Rules of the filter table are about endpoints, not about virtual addresses."""
    rules = rule_set(
        {"OUTPUT": (Rule(Dnat(_POD, 80)),)}, {"OUTPUT": (Rule(DROP, destination=f"{_POD}/32"),)}
    )
    (path,) = follow(rules, is_from_this_node=True)

    assert path.outcome.fate is Fate.DROPPED
    assert path.outcome.destination == f"{_POD}:80"


def test_a_masqueraded_connection_is_in_state_snat() -> None:
    """What this node sends itself meets INPUT after its source was changed."""
    state = ConntrackState(frozenset({"SNAT"}))
    rules = rule_set({"POSTROUTING": (Rule(Masquerade()),)}, {"INPUT": (Rule(DROP, (state,)),)})
    (path,) = follow(rules, is_from_this_node=True, destination=_NODE)

    assert path.outcome.fate is Fate.DROPPED
