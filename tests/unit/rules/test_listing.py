# SPDX-License-Identifier: Apache-2.0
"""Rules as iptables -nvL lists them, and the reference listing of the user's document.

Whether iptables really lists them so is tested in tests/kernel/test_save_text.py.
"""

from __future__ import annotations

import pytest

from rules.ir import (
    DROP,
    AddressType,
    AddToSet,
    Comment,
    ConntrackState,
    Dnat,
    Family,
    Hook,
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
    Table,
    TableName,
    Target,
)
from rules.listing import list_rule, list_table, list_tables
from rules.model import ServiceType
from tests.address_plan import IPV4
from tests.builders import NODE_PORT, local, remote, service_port, state
from tests.printed import printed
from tests.reference_listing import (
    as_in_reference,
    listed_chains,
    listed_words,
    reference_chains,
)

_IPV4, _IPV6 = Family.IPV4, Family.IPV6
_ALL_BITS = 0xFFFFFFFF


def test_the_reference_listing_of_the_document_comes_out() -> None:
    """Every line of it, chain by chain and in its order; only the node-port jump may follow."""
    web = state(
        IPV4,
        local("10.244.1.2"),
        remote("10.244.2.6"),
        type=ServiceType.LOAD_BALANCER,
        ports=(service_port(node_port=NODE_PORT),),
        ingress_ips=(IPV4.ingress_ip,),
    )
    listed = listed_chains(list_table(printed(IPV4, web).tables[TableName.NAT], _IPV4))
    for chain, expected in reference_chains().items():
        found = listed[chain][:-1] if chain == "KUBE-SERVICES" else listed[chain]
        assert as_in_reference(found, expected) == expected
    assert "KUBE-NODEPORTS" in listed["KUBE-SERVICES"][-1]


def _words(rule: Rule, family: Family = _IPV4) -> str:
    return listed_words(list_rule(rule, family))


@pytest.mark.parametrize(
    ("match", "expected"),
    [
        (Comment("default/web"), "/* default/web */"),
        (PortMatch("tcp"), "tcp"),
        (PortMatch("udp", 53), "udp dpt:53"),
        (PortMatch("tcp", 30720, 30975), "tcp dpts:30720:30975"),
        (MarkMatch(0x4000, 0x4000), "mark match 0x4000/0x4000"),
        (MarkMatch(0x4000, 0x4000, negated=True), "mark match ! 0x4000/0x4000"),
        (AddressType(source_local=True), "ADDRTYPE match src-type LOCAL"),
        (AddressType(destination_local=True), "ADDRTYPE match dst-type LOCAL"),
        (ConntrackState(frozenset({"INVALID"})), "ctstate INVALID"),
        (
            ConntrackState(frozenset({"DNAT", "RELATED"}), negated=True),
            "! ctstate RELATED,DNAT",
        ),
        (Statistic(1 << 30), "statistic mode random probability 0.50000000000"),
        (
            Recent("LIST", 10800),
            "recent: CHECK seconds: 10800 reap name: LIST side: source mask: 255.255.255.255",
        ),
        (Recent("LIST"), "recent: SET name: LIST side: source mask: 255.255.255.255"),
        (SetMatch("KUBE-AFF-X"), "match-set KUBE-AFF-X src"),
    ],
)
def test_matches_are_told_in_the_words_of_iptables(match: Match, expected: str) -> None:
    """Each kind of match has its own phrase."""
    assert _words(Rule(DROP, (match,))) == expected


@pytest.mark.parametrize(
    ("target", "family", "name", "words"),
    [
        ("KUBE-SERVICES", _IPV4, "KUBE-SERVICES", ""),
        (SetMark(0x4000, 0x4000), _IPV4, "MARK", "MARK or 0x4000"),
        (SetMark(0x4000, 0), _IPV4, "MARK", "MARK xor 0x4000"),
        (SetMark(0, 0x4000), _IPV4, "MARK", "MARK and 0xffffbfff"),
        (SetMark(1, _ALL_BITS), _IPV4, "MARK", "MARK set 0x1"),
        (SetMark(1, 3), _IPV4, "MARK", "MARK xset 0x1/0x3"),
        (Masquerade(), _IPV4, "MASQUERADE", "random-fully"),
        (Dnat("10.244.1.2", 80), _IPV4, "DNAT", "to:10.244.1.2:80"),
        (Dnat("fd00::2", 80), _IPV6, "DNAT", "to:[fd00::2]:80"),
        (Reject(), _IPV4, "REJECT", "reject-with icmp-port-unreachable"),
        (AddToSet("KUBE-AFF-X", 60), _IPV4, "SET", "add-set KUBE-AFF-X src exist timeout 60"),
        (Reject(), _IPV6, "REJECT", "reject-with icmp6-port-unreachable"),
    ],
)
def test_targets_are_told_by_name_and_what_they_do(
    target: Target, family: Family, name: str, words: str
) -> None:
    """The name has its column, the rest stands at the end."""
    assert list_rule(Rule(target), family).split()[2] == name
    assert _words(Rule(target), family) == words


def test_columns_stand_where_iptables_puts_them() -> None:
    """To the blank, with a negation in front of what it negates."""
    rule = Rule(
        DROP,
        (PortMatch("tcp", 1),),
        protocol="tcp",
        source="10.0.0.0/8",
        destination="192.0.2.1/32",
        in_interface="cni0",
        not_source=True,
        not_in_interface=True,
    )
    assert list_rule(rule, _IPV4) == (
        "    0     0 DROP       tcp  --  !cni0  *      !10.0.0.0/8           192.0.2.1"
        "            tcp dpt:1"
    )


def test_chains_tell_their_policy_or_how_often_they_are_used() -> None:
    """References are counted over the whole table, hooks included."""
    table = Table(
        TableName.FILTER,
        {"KUBE-A": (Rule("KUBE-B"),), "KUBE-B": ()},
        (Hook("INPUT", Rule("KUBE-B")), Hook("INPUT", Rule("KUBE-A"))),
    )
    headings = [line for line in list_table(table, _IPV4).splitlines() if line.startswith("Chain")]
    assert headings == [
        "Chain INPUT (policy ACCEPT 0 packets, 0 bytes)",
        "Chain FORWARD (policy ACCEPT 0 packets, 0 bytes)",
        "Chain OUTPUT (policy ACCEPT 0 packets, 0 bytes)",
        "Chain KUBE-A (1 references)",
        "Chain KUBE-B (2 references)",
    ]


def test_several_tables_are_told_apart_by_a_heading() -> None:
    """A listing alone does not say which table or family it is of."""
    lines = list_tables(printed(IPV4).tables, _IPV4).splitlines()
    assert [line for line in lines if line.startswith("Table")] == [
        "Table filter (ipv4)",
        "Table nat (ipv4)",
    ]
