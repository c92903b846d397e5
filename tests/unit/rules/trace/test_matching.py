# SPDX-License-Identifier: Apache-2.0
"""Single rules: who meets them, and which stop the tracer."""

from __future__ import annotations

import pytest

from rules.ir import (
    DROP,
    AddressType,
    Comment,
    ConntrackState,
    Dnat,
    PortMatch,
    Rule,
    TableName,
)
from rules.trace.errors import Missing, UnknownPacketError, UnknownRuleError
from rules.trace.rule_set import ForeignRule, PortRanges, TracedRule
from rules.trace.tracer import Fate
from tests.unit.rules.trace.support import PacketFields, follow, rule_set

_PORTALS = Comment("service portals")


def _is_dropped(rule: TracedRule, fields: PacketFields, chain: str = "FORWARD") -> bool:
    (path,) = follow(rule_set(filters={chain: (rule,)}), **fields)
    return path.outcome.fate is Fate.DROPPED


@pytest.mark.parametrize(
    ("rule", "fields", "is_met"),
    [
        (Rule(DROP), {}, True),
        (Rule(DROP, (_PORTALS,)), {}, True),
        (Rule(DROP, protocol="tcp"), {}, True),
        (Rule(DROP, protocol="udp"), {}, False),
        (Rule(DROP, (PortMatch("tcp", 80),), "tcp"), {}, True),
        (Rule(DROP, (PortMatch("tcp"),), "tcp"), {}, True),
        (Rule(DROP, (PortMatch("tcp", 81),), "tcp"), {}, False),
        (Rule(DROP, (PortMatch("udp", 80),), "tcp"), {}, False),
        (Rule(DROP, (PortMatch("tcp", 64, 80),), "tcp"), {}, True),
        (Rule(DROP, (PortMatch("tcp", 80, 96),), "tcp"), {}, True),
        (Rule(DROP, (PortMatch("tcp", 64, 79),), "tcp"), {}, False),
        (Rule(DROP, (PortMatch("tcp", 81, 96),), "tcp"), {}, False),
        (Rule(DROP, (PortMatch("udp", 64, 96),), "tcp"), {}, False),
        (Rule(DROP, source="203.0.113.0/24"), {}, True),
        (Rule(DROP, source="203.0.113.0/24", not_source=True), {}, False),
        (Rule(DROP, source="10.0.0.0/8", not_source=True), {}, True),
        (Rule(DROP, destination="198.51.100.80/32"), {}, True),
        (Rule(DROP, destination="198.51.100.81/32"), {}, False),
        (Rule(DROP, destination="198.51.100.80/32", not_destination=True), {}, False),
        (Rule(DROP, destination="0.0.0.0/0"), {}, True),
        (Rule(DROP, in_interface="eth0"), {"in_interface": "eth0"}, True),
        (Rule(DROP, in_interface="eth0"), {"in_interface": "eth01"}, False),
        (Rule(DROP, in_interface="eth+"), {"in_interface": "eth01"}, True),
        (Rule(DROP, in_interface="eth+", not_in_interface=True), {"in_interface": "lan"}, True),
        (Rule(DROP, (AddressType(source_local=True),)), {}, False),
        (Rule(DROP, (AddressType(source_local=True),)), {"source": "192.0.2.11"}, True),
        (Rule(DROP, (AddressType(destination_local=True),)), {}, False),
        (Rule(DROP, (ConntrackState(frozenset({"NEW"})),)), {}, True),
        (Rule(DROP, (ConntrackState(frozenset({"INVALID", "ESTABLISHED"})),)), {}, False),
        (Rule(DROP, (ConntrackState(frozenset({"DNAT"}), negated=True),)), {}, True),
    ],
)
def test_a_rule_is_met_by_those_it_asks_for(
    rule: Rule, fields: PacketFields, *, is_met: bool
) -> None:
    """Each condition, negated or not, as the kernel understands it."""
    assert _is_dropped(rule, fields) is is_met


@pytest.mark.parametrize("is_negated", [False, True])
def test_a_translated_connection_is_in_state_dnat(*, is_negated: bool) -> None:
    """Conntrack counts a translation as a state besides NEW."""
    state = ConntrackState(frozenset({"DNAT"}), negated=is_negated)
    rules = rule_set(
        {"PREROUTING": (Rule(Dnat("10.244.1.2", 80)),)}, {"FORWARD": (Rule(DROP, (state,)),)}
    )
    (path,) = follow(rules)

    assert (path.outcome.fate is Fate.DROPPED) is not is_negated


def test_translation_to_the_same_address_is_none() -> None:
    """A packet that stays as it was is not translated, and not in state DNAT."""
    (path,) = follow(rule_set({"PREROUTING": (Rule(Dnat("198.51.100.80", 80)),)}))

    assert not path.outcome.is_translated


def test_a_packet_from_this_node_has_no_input_interface() -> None:
    """No name fits it, and every negated one does."""
    sent: PacketFields = {"is_from_this_node": True}

    assert not _is_dropped(Rule(DROP, in_interface="eth0"), sent, "OUTPUT")
    assert _is_dropped(Rule(DROP, in_interface="eth0", not_in_interface=True), sent, "OUTPUT")


@pytest.mark.parametrize(
    ("rule", "missing"),
    [
        (Rule(DROP, in_interface="eth0"), Missing.IN_INTERFACE),
        (
            ForeignRule(Rule(DROP, protocol="tcp"), (PortRanges("tcp", (1024, 2048)),)),
            Missing.SOURCE_PORT,
        ),
    ],
)
def test_what_was_not_said_of_the_packet_is_asked_for(rule: TracedRule, missing: Missing) -> None:
    """The error names the rule, where it stands, and what is missing."""
    with pytest.raises(UnknownPacketError, match=r"rule 1 of chain FORWARD in filter") as caught:
        _is_dropped(rule, {})

    assert caught.value.missing is missing


def test_what_other_conditions_exclude_is_not_asked_for() -> None:
    """A rule for other protocols or addresses does not make anybody name an interface."""
    for rule in (
        Rule(DROP, protocol="udp", in_interface="eth0"),
        Rule(DROP, source="10.0.0.0/8", in_interface="eth0"),
    ):
        assert not _is_dropped(rule, {})


@pytest.mark.parametrize(
    ("ports", "fields", "is_met"),
    [
        (PortRanges("tcp", destination=(80, 90)), {}, True),
        (PortRanges("tcp", destination=(81, 90)), {}, False),
        (PortRanges("udp", destination=(80, 90)), {}, False),
        (PortRanges("tcp", (1024, 2048)), {"source_port": 1024}, True),
        (PortRanges("tcp", (1024, 2048)), {"source_port": 2049}, False),
        (PortRanges("tcp", (1024, 2048), (81, 81)), {}, False),
    ],
)
def test_port_ranges_of_others_are_understood(
    ports: PortRanges, fields: PacketFields, *, is_met: bool
) -> None:
    """First and last port belong to the range."""
    assert _is_dropped(ForeignRule(Rule(DROP), (ports,)), fields) is is_met


def test_an_unknown_rule_stops_who_comes_to_it() -> None:
    """The error names the chain, the rule and what is not understood; nothing is guessed."""
    rule = ForeignRule(Rule(DROP, protocol="tcp"), unknown=("match set",))
    with pytest.raises(UnknownRuleError) as caught:
        _is_dropped(rule, {})

    assert (caught.value.step.table, caught.value.step.chain) == (TableName.FILTER, "FORWARD")
    assert caught.value.unknown == ("match set",)
    assert "rule 1 of chain FORWARD in filter" in str(caught.value)
    assert "-A FORWARD -p tcp -j DROP # and match set" in str(caught.value)


@pytest.mark.parametrize(
    "known",
    [
        Rule(DROP, protocol="udp"),
        Rule(DROP, source="10.0.0.0/8"),
        Rule(DROP, (PortMatch("tcp", 443),), "tcp"),
    ],
)
def test_an_unknown_rule_stops_nobody_else(known: Rule) -> None:
    """Who fails one of the conditions that are understood cannot meet it, whatever the others."""
    assert not _is_dropped(ForeignRule(known, unknown=("match set",)), {})


def test_an_unknown_condition_of_a_log_rule_matters_to_nobody() -> None:
    """Whether such a rule is met changes nothing, so it is passed by."""
    logging = ForeignRule(Rule(""), (), ("match limit",), "-j LOG", goes_on=True)
    (path,) = follow(rule_set(filters={"FORWARD": (logging,)}))

    assert (path.outcome.fate, path.steps) == (Fate.SENT, ())


def test_input_interfaces_after_routing_are_not_guessed() -> None:
    """Kernels differ in what POSTROUTING knows of them."""
    rules = rule_set({"POSTROUTING": (Rule(DROP, in_interface="eth0"),)})
    with pytest.raises(UnknownRuleError, match="the input interface after routing"):
        follow(rules, in_interface="eth0")
