# SPDX-License-Identifier: Apache-2.0
"""Rules read back from a kernel in which iptables put them, ours and others'."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dataplane.kernel.client_sets import known_indices
from dataplane.kernel.decode import Decoder
from dataplane.kernel.libiptc import open_table
from lab import Host, Lab
from rules.ir import (
    ACCEPT,
    BUILT_IN_CHAINS,
    AddToSet,
    Family,
    Masquerade,
    PortMatch,
    Reject,
    Rule,
    SetMatch,
    TableName,
)
from rules.text import save_rule
from rules.trace.rule_set import ForeignRule, PortRanges, TracedRule
from tests.golden.loading import CASES
from tests.kernel.sets import restore_sets, set_commands

_PROGRAMS = {Family.IPV4: "iptables", Family.IPV6: "ip6tables"}
_TCP = Rule(ACCEPT, protocol="tcp")


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    """A machine with empty tables."""
    with Lab() as lab:
        (machine,) = lab.add_hosts("decode")
        yield machine


def _decoded(host: Host, family: Family, table: TableName, chain: str) -> list[TracedRule]:
    with host.entered(), open_table(family, table) as handle:
        return list(map(Decoder(family, known_indices(family)).rule, handle.entries(chain)))


def _restored(host: Host, family: Family, table: TableName, *lines: str) -> list[TracedRule]:
    """What is read of chain TEST after iptables-restore has put ``lines`` there."""
    text = "\n".join([f"*{table.value}", ":TEST - [0:0]", ":OTHER - [0:0]", *lines, "COMMIT", ""])
    host.run([f"{_PROGRAMS[family]}-legacy-restore"], stdin=text)
    return _decoded(host, family, table, "TEST")


@pytest.mark.parametrize(
    "saved", sorted(CASES.glob("*/*.save")), ids=lambda path: f"{path.parent.name}-{path.stem}"
)
def test_our_rules_are_read_back_whole(host: Host, saved: Path) -> None:
    """Each rule of the golden files is understood in full and prints as it was written."""
    family, text = Family(saved.stem), saved.read_text()
    restore_sets(host, set_commands(text))
    host.run([f"{_PROGRAMS[family]}-legacy-restore"], stdin=text)
    printed = []
    for table in TableName:
        with host.entered(), open_table(family, table) as handle:
            chains = handle.chains()
        for chain in chains:
            for rule in _decoded(host, family, table, chain):
                assert isinstance(rule, Rule)
                printed.append(save_rule(chain, rule, family))

    assert sorted(printed) == sorted(line for line in text.splitlines() if line.startswith("-A"))


@pytest.mark.parametrize("family", Family)
@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            "-p tcp -m tcp --sport 1024: --dport 80:90 -j ACCEPT",
            ForeignRule(_TCP, (PortRanges("tcp", (1024, 65535), (80, 90)),)),
        ),
        (
            "-p tcp -m tcp --dport 80:90 -j ACCEPT",
            Rule(ACCEPT, (PortMatch("tcp", 80, 90),), "tcp"),
        ),
        (
            "-p sctp -m sctp --dport 80:90 -j ACCEPT",
            Rule(ACCEPT, (PortMatch("sctp", 80, 90),), "sctp"),
        ),
        (
            "-p udp -m udp --sport 53 -j ACCEPT",
            ForeignRule(Rule(ACCEPT, protocol="udp"), (PortRanges("udp", (53, 53)),)),
        ),
        ("-p tcp -m tcp --syn -j ACCEPT", ForeignRule(_TCP, unknown=("match tcp",))),
        (
            "-p tcp -m multiport --dports 80,443 -j ACCEPT",
            ForeignRule(_TCP, unknown=("match multiport",)),
        ),
        (
            "-o eth0 -j ACCEPT",
            ForeignRule(Rule(ACCEPT), unknown=("output interface eth0",)),
        ),
        (
            "-p tcp -m tcp --dport 80 -g OTHER",
            ForeignRule(
                Rule("OTHER", (PortMatch("tcp", 80),), "tcp"),
                unknown=("flags {goto} (such as --goto)",),
            ),
        ),
        ("! -p tcp -j ACCEPT", ForeignRule(Rule(ACCEPT), unknown=("inversion 0x40",))),
        (
            "-p tcp -j REJECT --reject-with tcp-reset",
            ForeignRule(Rule(Reject(), protocol="tcp"), target_text="-j REJECT"),
        ),
        ("-j LOG", ForeignRule(Rule(""), target_text="-j LOG", goes_on=True)),
        ("-p tcp", ForeignRule(Rule("", protocol="tcp"), target_text="", goes_on=True)),
        ("-p 47 -j ACCEPT", ForeignRule(Rule(ACCEPT, protocol="47"))),
        (
            "-m limit --limit 1/second -j ACCEPT",
            ForeignRule(Rule(ACCEPT), unknown=("match limit",)),
        ),
        (
            "-m recent --update --seconds 60 --name LIST -j ACCEPT",
            ForeignRule(Rule(ACCEPT), unknown=("match recent",)),
        ),
        (
            "-m conntrack --ctstate NEW --ctdir ORIGINAL -j ACCEPT",
            ForeignRule(Rule(ACCEPT), unknown=("match conntrack",)),
        ),
        (
            "-m addrtype ! --dst-type LOCAL -j ACCEPT",
            ForeignRule(Rule(ACCEPT), unknown=("match addrtype",)),
        ),
        ("-i veth+ -j ACCEPT", Rule(ACCEPT, in_interface="veth+")),
    ],
)
def test_others_rules_are_understood_as_far_as_possible(
    host: Host, family: Family, line: str, expected: TracedRule
) -> None:
    """What is exact, what is good enough to follow, and what keeps but its name."""
    if isinstance(expected, ForeignRule):
        goto = "0x2" if family is Family.IPV4 else "0x5"
        named = tuple(unknown.format(goto=goto) for unknown in expected.unknown)
        expected = expected._replace(unknown=named)

    assert _restored(host, family, TableName.FILTER, f"-A TEST {line}") == [expected]


def test_others_translations_are_understood_if_they_are_simple(host: Host) -> None:
    """Masquerading is what it is whatever its options; a choice of addresses is not guessed."""
    assert _restored(
        host,
        Family.IPV4,
        TableName.NAT,
        "-A TEST -s 10.0.0.0/8 -j MASQUERADE",
        "-A TEST -j DNAT --to-destination 10.0.0.1-10.0.0.9",
        "-A TEST -j SNAT --to-source 192.0.2.1",
    ) == [
        ForeignRule(Rule(Masquerade(), source="10.0.0.0/8"), target_text="-j MASQUERADE"),
        ForeignRule(Rule(""), unknown=("target DNAT",), target_text="-j DNAT"),
        ForeignRule(Rule(""), unknown=("target SNAT",), target_text="-j SNAT"),
    ]


def test_sets_are_understood_if_they_are_ours(host: Host) -> None:
    """What stands in others' sets is not known, and other uses of ours say something else."""
    kind = "hash:ip family inet timeout 60"
    ours, theirs = "KUBE-AFF-LOLE4ISW44XBNF3G", "KUBE-CLUSTER-IP"
    restore_sets(host, [f"create {ours} {kind}", f"create {theirs} {kind}"])
    assert _restored(
        host,
        Family.IPV4,
        TableName.NAT,
        f"-A TEST -m set --match-set {ours} src -j ACCEPT",
        f"-A TEST -m set --match-set {ours} dst -j ACCEPT",
        f"-A TEST -m set ! --match-set {ours} src -j ACCEPT",
        f"-A TEST -m set --match-set {theirs} src -j ACCEPT",
        f"-A TEST -j SET --add-set {ours} src --exist --timeout 60",
        f"-A TEST -j SET --add-set {ours} src --timeout 60",
        f"-A TEST -j SET --del-set {ours} src",
        f"-A TEST -j SET --add-set {theirs} src --exist --timeout 60",
    ) == [
        Rule(ACCEPT, (SetMatch(ours),)),
        *[ForeignRule(Rule(ACCEPT), unknown=("match set",))] * 3,
        Rule(AddToSet(ours, 60)),
        *[ForeignRule(Rule(""), unknown=("target SET",), target_text="-j SET")] * 3,
    ]


def test_policies_are_read(host: Host) -> None:
    """Of built-in chains; tables that nobody touched accept."""
    with host.entered(), open_table(Family.IPV4, TableName.FILTER) as handle:
        found = {chain: handle.policy(chain) for chain in BUILT_IN_CHAINS[TableName.FILTER]}
    assert set(found.values()) == {ACCEPT}

    host.run(["iptables-legacy", "-P", "FORWARD", "DROP"])
    with host.entered(), open_table(Family.IPV4, TableName.FILTER) as handle:
        assert handle.policy("FORWARD") == "DROP"
