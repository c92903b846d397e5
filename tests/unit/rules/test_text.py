# SPDX-License-Identifier: Apache-2.0
"""Rules as iptables-save prints them.

Whether iptables really prints them so is tested with iptables itself, in
tests/kernel/test_save_text.py.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.ir import (
    ACCEPT,
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
from rules.text import kept_comment, quoted, save_rule, save_table, save_tables

_IPV4, _IPV6 = Family.IPV4, Family.IPV6
_ALL_BITS = 0xFFFFFFFF
_LIST = "--name LIST --mask 255.255.255.255 --rsource"


@pytest.mark.parametrize(
    ("match", "expected"),
    [
        (Comment("simple"), "-m comment --comment simple"),
        (Comment("default/web"), '-m comment --comment "default/web"'),
        (PortMatch("tcp"), "-m tcp"),
        (PortMatch("udp", 53), "-m udp --dport 53"),
        (PortMatch("tcp", 30720, 30975), "-m tcp --dport 30720:30975"),
        (MarkMatch(0x4000, 0x4000), "-m mark --mark 0x4000/0x4000"),
        (MarkMatch(0x4000, 0x4000, negated=True), "-m mark ! --mark 0x4000/0x4000"),
        (MarkMatch(1, _ALL_BITS), "-m mark --mark 0x1"),
        (AddressType(source_local=True), "-m addrtype --src-type LOCAL"),
        (AddressType(destination_local=True), "-m addrtype --dst-type LOCAL"),
        (
            AddressType(source_local=True, destination_local=True),
            "-m addrtype --src-type LOCAL --dst-type LOCAL",
        ),
        (ConntrackState(frozenset({"NEW"})), "-m conntrack --ctstate NEW"),
        (
            ConntrackState(frozenset({"DNAT", "ESTABLISHED", "RELATED"}), negated=True),
            "-m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT",
        ),
        (Statistic(1 << 30), "-m statistic --mode random --probability 0.50000000000"),
        (Statistic(715827883), "-m statistic --mode random --probability 0.33333333349"),
        (Recent("LIST"), f"-m recent --set {_LIST}"),
        (
            Recent("LIST", 10800),
            f"-m recent --rcheck --seconds 10800 --reap {_LIST}",
        ),
        (SetMatch("KUBE-AFF-X"), "-m set --match-set KUBE-AFF-X src"),
    ],
)
def test_matches_are_printed_as_iptables_prints_them_back(match: Match, expected: str) -> None:
    """Options stand in iptables' order, with the ones it adds by itself."""
    assert save_rule("C", Rule(DROP, (match,)), _IPV4) == f"-A C {expected} -j DROP"


@pytest.mark.parametrize(
    ("target", "family", "expected"),
    [
        (ACCEPT, _IPV4, "ACCEPT"),
        ("KUBE-SERVICES", _IPV4, "KUBE-SERVICES"),
        (SetMark(0x4000, 0x4000), _IPV4, "MARK --set-xmark 0x4000/0x4000"),
        (SetMark(0x4000, 0), _IPV4, "MARK --set-xmark 0x4000/0x0"),
        (Masquerade(), _IPV4, "MASQUERADE --random-fully"),
        (Dnat("10.244.1.2", 80), _IPV4, "DNAT --to-destination 10.244.1.2:80"),
        (Dnat("fd00::2", 80), _IPV6, "DNAT --to-destination [fd00::2]:80"),
        (Reject(), _IPV4, "REJECT --reject-with icmp-port-unreachable"),
        (Reject(), _IPV6, "REJECT --reject-with icmp6-port-unreachable"),
        (AddToSet("SET-1", 60), _IPV4, "SET --add-set SET-1 src --exist --timeout 60"),
    ],
)
def test_targets_are_printed_with_their_options(
    target: Target, family: Family, expected: str
) -> None:
    """A chain and a verdict are their name, others add what they do."""
    assert save_rule("C", Rule(target), family) == f"-A C -j {expected}"


def test_recent_lists_of_ipv6_have_a_mask_of_ipv6() -> None:
    """Single addresses are told apart in both families."""
    line = save_rule("C", Rule(DROP, (Recent("LIST"),)), _IPV6)
    assert " --mask ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff " in line


def test_addresses_interface_and_protocol_stand_in_this_order() -> None:
    """Source, destination, interface, protocol, then the matches as they come."""
    rule = Rule(
        DROP,
        (Comment("x"), PortMatch("tcp", 1)),
        protocol="tcp",
        source="10.0.0.0/8",
        destination="192.0.2.1/32",
        in_interface="veth+",
    )
    assert save_rule("C", rule, _IPV4) == (
        "-A C -s 10.0.0.0/8 -d 192.0.2.1/32 -i veth+ -p tcp "
        "-m comment --comment x -m tcp --dport 1 -j DROP"
    )


def test_negations_stand_before_what_they_negate() -> None:
    """Each of source, destination and interface has its own."""
    rule = Rule(
        DROP,
        source="10.0.0.0/8",
        destination="192.0.2.1/32",
        in_interface="cni0",
        not_source=True,
        not_destination=True,
        not_in_interface=True,
    )
    assert save_rule("C", rule, _IPV4) == "-A C ! -s 10.0.0.0/8 ! -d 192.0.2.1/32 ! -i cni0 -j DROP"


@pytest.mark.parametrize(("family", "everywhere"), [(_IPV4, "0.0.0.0/0"), (_IPV6, "::/0")])
def test_a_network_of_everything_is_printed_only_negated(family: Family, everywhere: str) -> None:
    """Iptables does not print what does not restrict."""
    anything = Rule(DROP, source=everywhere)
    assert save_rule("C", anything, family) == "-A C -j DROP"
    nothing = anything._replace(not_source=True)
    assert save_rule("C", nothing, family) == f"-A C ! -s {everywhere} -j DROP"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("letters-and_digits0", "letters-and_digits0"),
        ("", '""'),
        ("two words", '"two words"'),
        ('"', r'"\""'),
        ("'", r'''"\'"'''),
        ("\\", r'"\\"'),
        ("ü", '"ü"'),
    ],
)
def test_strings_are_quoted_as_xtables_save_string_does(text: str, expected: str) -> None:
    """Quotes around all but letters, digits, dash and underscore; three characters escaped."""
    assert quoted(text) == expected


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("x" * 255, "x" * 255),
        ("x" * 256, "x" * 255),
        ("x" * 254 + "é", "x" * 254),
        ("x" * 253 + "é", "x" * 253 + "é"),
        ("x" * 252 + "💡", "x" * 252),
    ],
)
def test_comments_are_cut_between_two_characters(text: str, kept: str) -> None:
    """At most 255 bytes, and never half a character."""
    assert kept_comment(text) == kept


@given(st.text(max_size=300))
def test_a_kept_comment_is_the_longest_beginning_that_fits(text: str) -> None:
    """It is a beginning of the text, fits, and one more character would not."""
    kept = kept_comment(text)
    assert text.startswith(kept)
    assert len(kept.encode()) <= 255
    assert kept == text or len(text[: len(kept) + 1].encode()) > 255


_JUMP = Rule("KUBE-B", (Comment("hook"),))
_FILTER = Table(
    TableName.FILTER,
    {"KUBE-B": (Rule(DROP),), "KUBE-A": (), "KUBE-SHARED-OURS": (Rule(ACCEPT),)},
    hooks=(
        Hook("OUTPUT", _JUMP),
        Hook("INPUT", _JUMP),
        Hook("INPUT", Rule("KUBE-A")),
        Hook("KUBE-SHARED", Rule(DROP)),
    ),
    shared_chains=("KUBE-SHARED",),
)
_NAT = Table(TableName.NAT, {}, ())


def test_a_table_lists_built_in_chains_then_others_by_name_with_hooks_first() -> None:
    """Chains are declared in the order in which their rules follow."""
    assert save_table(_FILTER, _IPV4).splitlines() == [
        "*filter",
        ":INPUT ACCEPT [0:0]",
        ":FORWARD ACCEPT [0:0]",
        ":OUTPUT ACCEPT [0:0]",
        ":KUBE-A - [0:0]",
        ":KUBE-B - [0:0]",
        ":KUBE-SHARED - [0:0]",
        ":KUBE-SHARED-OURS - [0:0]",
        "-A INPUT -m comment --comment hook -j KUBE-B",
        "-A INPUT -j KUBE-A",
        "-A OUTPUT -m comment --comment hook -j KUBE-B",
        "-A KUBE-B -j DROP",
        "-A KUBE-SHARED -j DROP",
        "-A KUBE-SHARED-OURS -j ACCEPT",
        "COMMIT",
    ]


def test_tables_follow_each_other_in_one_text() -> None:
    """Each ends with its COMMIT, so that iptables-restore takes them all."""
    both = {TableName.FILTER: _FILTER, TableName.NAT: _NAT}
    assert save_tables(both, _IPV4) == save_table(_FILTER, _IPV4) + save_table(_NAT, _IPV4)
    assert save_table(_NAT, _IPV4).endswith("COMMIT\n")
