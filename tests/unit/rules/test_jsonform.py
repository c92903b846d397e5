# SPDX-License-Identifier: Apache-2.0
"""Rules as JSON: the form that the module's docstring promises."""

from __future__ import annotations

import json

import pytest

from rules import names
from rules.affinity import AffinityBackend
from rules.ir import (
    DROP,
    AddressType,
    AddToSet,
    Comment,
    ConntrackState,
    Dnat,
    Family,
    MarkMatch,
    Masquerade,
    Match,
    PortMatch,
    Recent,
    Reject,
    Rule,
    SetMark,
    SetMatch,
    Statistic,
    TableName,
    Target,
)
from rules.jsonform import json_families, json_rule, json_tables
from tests.address_plan import IPV4, IPV6
from tests.builders import context, local, state
from tests.printed import SVC, printed, sep

_IPV4 = Family.IPV4


@pytest.mark.parametrize(
    ("match", "expected"),
    [
        (Comment("x" * 256), {"comment": "x" * 255}),
        (PortMatch("tcp"), {"port": {"protocol": "tcp"}}),
        (PortMatch("tcp", 80), {"port": {"protocol": "tcp", "destination": 80}}),
        (PortMatch("udp", 8, 9), {"port": {"protocol": "udp", "destination": 8, "last": 9}}),
        (MarkMatch(1, 3), {"mark": {"value": 1, "mask": 3, "negated": False}}),
        (AddressType(source_local=True), {"addressType": {"source": "LOCAL"}}),
        (AddressType(destination_local=True), {"addressType": {"destination": "LOCAL"}}),
        (
            ConntrackState(frozenset({"ESTABLISHED", "RELATED"}), negated=True),
            {"conntrackState": {"states": ["RELATED", "ESTABLISHED"], "negated": True}},
        ),
        (Statistic(1 << 30), {"statistic": {"fraction": 1 << 30}}),
        (Recent("LIST"), {"recent": {"list": "LIST", "action": "set"}}),
        (Recent("LIST", 60), {"recent": {"list": "LIST", "action": "rcheck", "seconds": 60}}),
        (SetMatch("KUBE-AFF-X"), {"set": {"name": "KUBE-AFF-X"}}),
    ],
)
def test_each_match_is_one_field_named_after_its_kind(match: Match, expected: object) -> None:
    """A reader can tell the kind by the only key."""
    assert json_rule(Rule(DROP, (match,)), _IPV4) == {
        "target": {"verdict": "DROP"},
        "matches": [expected],
    }


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("KUBE-SERVICES", {"jump": "KUBE-SERVICES"}),
        (DROP, {"verdict": "DROP"}),
        (SetMark(1, 3), {"setMark": {"value": 1, "mask": 3}}),
        (Masquerade(), {"masquerade": {"randomFully": True}}),
        (AddToSet("KUBE-AFF-X", 60), {"addToSet": {"name": "KUBE-AFF-X", "timeoutSeconds": 60}}),
        (Dnat("10.244.1.2", 80), {"dnat": {"address": "10.244.1.2", "port": 80}}),
        (Reject(), {"reject": {"with": "icmp-port-unreachable"}}),
    ],
)
def test_each_target_is_one_field_named_after_its_kind(target: Target, expected: object) -> None:
    """Fields that say nothing are left out."""
    assert json_rule(Rule(target), _IPV4) == {"target": expected}


def test_places_are_fields_with_their_negation_beside_them() -> None:
    """Networks stand as they are, single addresses with their prefix length."""
    rule = Rule(
        DROP,
        protocol="tcp",
        source="10.0.0.0/8",
        destination="192.0.2.1/32",
        in_interface="veth+",
        not_source=True,
    )
    assert json_rule(rule, _IPV4) == {
        "target": {"verdict": "DROP"},
        "protocol": "tcp",
        "source": "10.0.0.0/8",
        "notSource": True,
        "destination": "192.0.2.1/32",
        "inInterface": "veth+",
    }


def test_tables_have_chains_hooks_and_shared_chains() -> None:
    """Chains are sorted, hooks say where they stand, shared chains are named."""
    rules = printed(IPV4, state(IPV4, local(IPV4.local_pod)))
    form = json.loads(json.dumps(json_tables(rules.tables, _IPV4)))
    assert list(form) == ["filter", "nat"]
    assert list(form["nat"]["chains"]) == sorted(rules.tables[TableName.NAT].chains)
    assert len(form["nat"]["chains"][SVC]) == 2
    assert form["nat"]["hooks"][0] == {
        "chain": "PREROUTING",
        "rule": {
            "target": {"jump": "KUBE-SERVICES"},
            "matches": [{"comment": "kubernetes service portals"}],
        },
    }
    assert form["filter"]["sharedChains"] == ["KUBE-FIREWALL"]


def test_sets_are_told_with_the_table_that_names_them() -> None:
    """A program that reads a dump can make them before it loads the rules."""
    on_node = context(IPV4, affinity_backend=AffinityBackend.IPSET)
    made = state(IPV4, local(IPV4.local_pod), affinity_seconds=60)
    form = json_tables(printed(IPV4, made, in_context=on_node).tables, _IPV4)
    nat = form["nat"]
    assert isinstance(nat, dict)
    name = names.client_set(sep(IPV4, IPV4.local_pod))
    assert nat["clientSets"] == [{"name": name, "timeoutSeconds": 60}]


def test_families_are_told_by_name() -> None:
    """Both families stand in one document."""
    form = json_families({plan.family: printed(plan).tables for plan in (IPV4, IPV6)})
    assert list(form) == ["ipv4", "ipv6"]
