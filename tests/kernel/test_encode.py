# SPDX-License-Identifier: Apache-2.0
"""The encoder against iptables itself: every kind of match and target, in both families.

iptables-legacy puts a rule into the kernel from its text, and what it put there must be, byte for
byte, what the encoder makes of the same rule; and the other way round. What the kernel changes in
an entry (counters, offsets of jumps) is left to tests of whole tables.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dataplane.kernel.client_sets import known_indices
from dataplane.kernel.encode import Encoder, UnencodableRuleError
from dataplane.kernel.encode_chain import ChainEncoder
from dataplane.kernel.libiptc import open_table
from lab import Host, Lab
from rules.ir import (
    ACCEPT,
    DROP,
    RETURN,
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
from rules.text import save_rule
from tests.kernel.sets import restore_sets

CHAIN = "TEST"
OTHER_CHAIN = "KUBE-SEP-MQ4W7Q2CV67URU6Q"
PROGRAMS = {Family.IPV4: "iptables-legacy", Family.IPV6: "ip6tables-legacy"}
ADDRESSES = {Family.IPV4: "10.244.1.2", Family.IPV6: "fd00:10:244::2"}
HOSTS = {Family.IPV4: "10.96.86.198/32", Family.IPV6: "fd00:10:96::c6/128"}
SETS = {Family.IPV4: "KUBE-AFF-MQ4W7Q2CV67URU6Q", Family.IPV6: "KUBE-AFF-YUPMFTK3IHSQP2LT"}
NETWORKS = {Family.IPV4: "10.244.0.0/15", Family.IPV6: "fd00:10:240::/43"}


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    """A machine with empty tables, and with sets that rules may name."""
    with Lab() as lab:
        (machine,) = lab.add_hosts("encode")
        # Sets of others, so that ours do not have the number 0.
        names = ["theirs", SETS[Family.IPV4]], ["theirs-6", SETS[Family.IPV6]]
        for family, some in zip(("inet", "inet6"), names, strict=True):
            restore_sets(
                machine, [f"create {name} hash:ip family {family} timeout 9" for name in some]
            )
        yield machine


def chain_encoder(host: Host, family: Family) -> ChainEncoder:
    """An encoder that knows the numbers of the machine's sets."""
    with host.entered():
        return ChainEncoder(family, known_indices(family))


@pytest.fixture(autouse=True)
def _own_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XTABLES_LOCKFILE", str(tmp_path / "lock"))


def nat_rules(family: Family) -> list[Rule]:
    """Rules for nat with each kind of match and target, alone and together."""
    host, network, address = HOSTS[family], NETWORKS[family], ADDRESSES[family]
    comment = Comment("default/web -> 10.244.1.2:80")
    return [
        Rule(OTHER_CHAIN),
        Rule(RETURN),
        Rule(ACCEPT, protocol="udp"),
        Rule(SetMark(0x4000, 0x4000)),
        Rule(SetMark(0x4000, 0)),
        Rule(SetMark(0xDEADBEEF, 0xFFFFFFFF)),
        Rule(Masquerade(), (Comment("kubernetes service traffic requiring SNAT"),)),
        Rule(Dnat(address, 8080), (PortMatch("tcp"),), "tcp"),
        Rule(Dnat(address, 1), (comment, Recent(OTHER_CHAIN), PortMatch("udp")), "udp"),
        Rule(Dnat(address, 65535), (PortMatch("sctp"),), "sctp"),
        Rule(OTHER_CHAIN, (comment, PortMatch("tcp", 80)), "tcp", destination=host),
        Rule(OTHER_CHAIN, (comment, PortMatch("udp", 53)), "udp", destination=host),
        Rule(OTHER_CHAIN, (comment, PortMatch("sctp", 3868)), "sctp", destination=host),
        Rule(OTHER_CHAIN, (PortMatch("tcp", 30720, 30975),), "tcp"),
        Rule(OTHER_CHAIN, (PortMatch("udp", 0, 4095),), "udp", destination=host),
        Rule(OTHER_CHAIN, (PortMatch("sctp", 61440, 65535),), "sctp"),
        Rule(OTHER_CHAIN, (comment,), source=host),
        Rule(OTHER_CHAIN, (comment,), source=network, not_source=True),
        Rule(OTHER_CHAIN, source=network, destination=host, not_destination=True),
        Rule(OTHER_CHAIN, in_interface="cni0"),
        Rule(OTHER_CHAIN, in_interface="veth+", not_in_interface=True),
        Rule(OTHER_CHAIN, in_interface="fifteen-letters"),
        Rule(OTHER_CHAIN, (comment, Statistic(1 << 30))),
        Rule(OTHER_CHAIN, (comment, Statistic(715827883))),
        Rule(OTHER_CHAIN, (comment, Statistic(1 << 31))),
        Rule(OTHER_CHAIN, (comment, Recent(OTHER_CHAIN, 10800))),
        Rule(OTHER_CHAIN, (comment, SetMatch(SETS[family]))),
        Rule(AddToSet(SETS[family], 10800), (comment,)),
        Rule(AddToSet(SETS[family], 1)),
        Rule(OTHER_CHAIN, (AddressType(destination_local=True),)),
        Rule(OTHER_CHAIN, (comment, AddressType(source_local=True))),
        Rule(RETURN, (MarkMatch(0x4000, 0x4000, negated=True),)),
        Rule(RETURN, (MarkMatch(0x1, 0xFFFFFFFF),)),
        Rule(OTHER_CHAIN, (Comment("a"),)),
        Rule(OTHER_CHAIN, (Comment("quotes \" and ' and back\\slash; !bang"),)),
        Rule(OTHER_CHAIN, (Comment("ä" * 127 + "x"),)),
        Rule(OTHER_CHAIN, (Comment("ä" * 300),)),
    ]


def filter_rules(_family: Family) -> list[Rule]:
    """Rules with what only the filter table takes."""
    states = frozenset({"RELATED", "ESTABLISHED", "DNAT"})
    return [
        Rule(DROP, (ConntrackState(frozenset({"INVALID"})),)),
        Rule(OTHER_CHAIN, (ConntrackState(frozenset({"NEW"})), Comment("service portals"))),
        Rule(ACCEPT, (Comment("c"), ConntrackState(frozenset({"RELATED", "ESTABLISHED"})))),
        Rule(DROP, (Comment("c"), ConntrackState(states, negated=True))),
        Rule(Reject(), (Comment("has no endpoints"), PortMatch("tcp", 80)), "tcp"),
        Rule(Reject()),
    ]


CASES = {TableName.NAT: nat_rules, TableName.FILTER: filter_rules}


def program_with_iptables(
    host: Host, family: Family, table: TableName, rules: Sequence[Rule]
) -> None:
    """Let iptables-legacy make the rules, from their text."""
    lines = [f"*{table.value}", f":{CHAIN} - [0:0]", f":{OTHER_CHAIN} - [0:0]"]
    lines += [save_rule(CHAIN, rule, family) for rule in rules]
    host.run([f"{PROGRAMS[family]}-restore"], stdin="\n".join([*lines, "COMMIT", ""]))


def read_back(host: Host, family: Family, table: TableName) -> list[bytes]:
    """What the kernel holds of the chain."""
    with host.entered(), open_table(family, table) as handle:
        return handle.entries(CHAIN)


def differing(
    rules: Sequence[Rule], family: Family, entries: Sequence[bytes], expected: Sequence[bytes]
) -> list[str]:
    """The text of the rules whose bytes differ."""
    return [
        save_rule(CHAIN, rule, family)
        for rule, entry, wanted in zip(rules, entries, expected, strict=True)
        if entry != wanted
    ]


@pytest.mark.parametrize("table", list(TableName), ids=lambda table: table.value)
@pytest.mark.parametrize("family", list(Family), ids=lambda family: family.value)
def test_iptables_makes_the_same_bytes(host: Host, family: Family, table: TableName) -> None:
    """Every kind of rule is encoded as iptables-legacy encodes it."""
    rules = CASES[table](family)
    program_with_iptables(host, family, table, rules)

    entries = read_back(host, family, table)

    assert (
        differing(rules, family, entries, chain_encoder(host, family).entries(tuple(rules))) == []
    )


@pytest.mark.parametrize("table", list(TableName), ids=lambda table: table.value)
@pytest.mark.parametrize("family", list(Family), ids=lambda family: family.value)
def test_iptables_reads_what_was_encoded(host: Host, family: Family, table: TableName) -> None:
    """Committed entries are printed and found by iptables-legacy as the rules they encode."""
    rules = CASES[table](family)
    program_with_iptables(host, family, table, [])

    entries = chain_encoder(host, family).entries(tuple(rules))
    with host.entered(), open_table(family, table) as handle:
        handle.append(CHAIN, entries)
        handle.commit()

    printed = host.run([PROGRAMS[family] + "-save", "-t", table.value]).stdout.splitlines()
    expected = [save_rule(CHAIN, rule, family) for rule in rules]
    assert expected == [line for line in printed if line.startswith(f"-A {CHAIN} ")]


@pytest.mark.parametrize("family", list(Family), ids=lambda family: family.value)
@pytest.mark.parametrize("check", ["--set", "--rcheck --seconds 10800 --reap"])
def test_iptables_finds_affinity_rules(host: Host, family: Family, check: str) -> None:
    """A rule that names no mask, as kube-proxy writes it, is the same to iptables as ours."""
    program_with_iptables(host, family, TableName.NAT, [])
    seconds = None if check == "--set" else 10800
    rule = Rule(OTHER_CHAIN, (Recent(OTHER_CHAIN, seconds),))

    with host.entered(), open_table(family, TableName.NAT) as handle:
        handle.append(CHAIN, [Encoder(family).rule(rule)])
        handle.commit()

    text = f"-t nat -C {CHAIN} -m recent --name {OTHER_CHAIN} {check} -j {OTHER_CHAIN}"
    assert host.run([PROGRAMS[family], *text.split()], check=False).returncode == 0


@pytest.mark.parametrize("family", list(Family), ids=lambda family: family.value)
def test_comparison_sees_every_difference(host: Host, family: Family) -> None:
    """No two of the tested rules have the same bytes, so that a wrong encoding cannot pass."""
    program_with_iptables(host, family, TableName.NAT, nat_rules(family))

    entries = read_back(host, family, TableName.NAT)

    assert len(nat_rules(family)) == len(set(entries))


def test_a_set_without_a_number_is_refused() -> None:
    """A rule about a set that was not made cannot take the number of another."""
    with pytest.raises(UnencodableRuleError, match="KUBE-AFF-X, whose number was not given"):
        Encoder(Family.IPV4).rule(Rule(ACCEPT, (SetMatch("KUBE-AFF-X"),)))


def test_long_interface_name_is_refused() -> None:
    """A name that the kernel would cut is an error that says so."""
    with pytest.raises(UnencodableRuleError, match="sixteen-letters0 is longer than 15 bytes"):
        Encoder(Family.IPV4).rule(Rule(ACCEPT, in_interface="sixteen-letters0"))


MATCHES: dict[str, st.SearchStrategy[Match]] = {
    "comment": st.builds(
        Comment,
        st.text(
            st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Z"]), min_size=1
        ).filter(lambda text: not text.startswith(("!", "-"))),
    ),
    "statistic": st.builds(Statistic, st.integers(0, 1 << 31)),
    "mark": st.builds(
        MarkMatch, st.integers(0, 0xFFFFFFFF), st.just(0xFFFFFFFF), negated=st.booleans()
    ),
    "address type": st.sampled_from(
        [AddressType(source_local=True), AddressType(destination_local=True)]
    ),
    "recent": st.builds(Recent, st.just(OTHER_CHAIN), st.one_of(st.none(), st.integers(1, 86400))),
}


@st.composite
def rules_of(draw: st.DrawFn, family: Family) -> Rule:
    """Any rule that the nat table takes in a chain of its own."""
    kinds = draw(st.lists(st.sampled_from(sorted(MATCHES)), unique=True))
    protocol = draw(st.sampled_from(["", "tcp", "udp", "sctp"]))
    matches = [draw(MATCHES[kind]) for kind in kinds]
    if protocol:
        port = draw(st.one_of(st.none(), st.integers(1, 65535)))
        last = draw(st.none() | st.integers(port + 1, 65535)) if port and port < 65535 else None
        matches.append(PortMatch(protocol, port, last))
    targets: list[Target] = [OTHER_CHAIN, RETURN, SetMark(draw(st.integers(0, 1 << 31)), 0xFFFF)]
    if protocol:
        targets.append(Dnat(ADDRESSES[family], draw(st.integers(1, 65535))))
    networks = st.sampled_from(["", HOSTS[family], NETWORKS[family]])
    source, destination = draw(networks), draw(networks)
    return Rule(
        draw(st.sampled_from(targets)),
        tuple(matches),
        protocol,
        source,
        destination,
        draw(st.sampled_from(["", "eth0", "cali+"])),
        not_source=bool(source) and draw(st.booleans()),
        not_destination=bool(destination) and draw(st.booleans()),
    )


@pytest.mark.parametrize("family", list(Family), ids=lambda family: family.value)
@settings(
    max_examples=25,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_any_rule_is_encoded_as_iptables_does(
    host: Host, family: Family, data: st.DataObject
) -> None:
    """The claim of the table above holds for any combination."""
    rules = data.draw(st.lists(rules_of(family), min_size=1, max_size=20))
    program_with_iptables(host, family, TableName.NAT, rules)

    entries = read_back(host, family, TableName.NAT)

    assert (
        differing(rules, family, entries, chain_encoder(host, family).entries(tuple(rules))) == []
    )
