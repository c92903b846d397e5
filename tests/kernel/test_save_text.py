# SPDX-License-Identifier: Apache-2.0
"""What is printed is what iptables prints, judged by iptables itself.

The texts are the expected files of tests/golden, which are compared with the built rules there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings

from lab import Host, Lab
from rules.build import build
from rules.context import FamilyContext
from rules.ir import (
    Comment,
    Family,
    MarkMatch,
    Rule,
    SetMark,
    Statistic,
    Table,
    TableName,
)
from rules.listing import list_table
from rules.text import save_table, save_tables
from tests.golden.loading import CASES, tables_of
from tests.kernel.sets import restore_sets, set_commands, without_remarks
from tests.property.strategies import Cluster, clusters, contexts

_SAVED = sorted(CASES.glob("*/*.save"))
_PROGRAMS = {Family.IPV4: "iptables", Family.IPV6: "ip6tables"}
_COUNTERS = re.compile(r"\[\d+:\d+\]$", re.MULTILINE)
_PROTOCOL_NUMBER = re.compile(r"^( +\d+ +\d+ \S* +)(0|6|17|132)  *--", re.MULTILINE)
_ADDED_BY_IPSET = re.compile(" (bucketsize [0-9]+|initval 0x[0-9a-f]+)")
_PROTOCOL_NAMES = {"0": "all", "6": "tcp", "17": "udp", "132": "sctp"}


@pytest.fixture
def machine() -> Iterator[Host]:
    """A machine without rules."""
    with Lab() as lab:
        (host,) = lab.add_hosts("node")
        yield host


def _family(saved: Path) -> Family:
    return Family(saved.stem)


def _name(saved: Path) -> str:
    return f"{saved.parent.name}-{saved.stem}"


def _kernel_text(machine: Host, family: Family, table: TableName) -> str:
    """What iptables-legacy-save prints of a table, without time stamps and counters."""
    save = f"{_PROGRAMS[family]}-legacy-save"
    text = machine.run([save, "-t", table.value]).stdout
    return _COUNTERS.sub("[0:0]", without_remarks(text))


def _restore(machine: Host, family: Family, text: str) -> None:
    """Load ``text`` as the README says: first the sets that its remarks name, then the rules."""
    restore_sets(machine, set_commands(text))
    machine.run([f"{_PROGRAMS[family]}-legacy-restore"], stdin=text)


@pytest.mark.parametrize("backend", ["legacy", "nft"])
@pytest.mark.parametrize("saved", _SAVED, ids=_name)
def test_both_iptables_accept_the_text(machine: Host, saved: Path, backend: str) -> None:
    """A dump can be checked and loaded on every kind of node."""
    restore = f"{_PROGRAMS[_family(saved)]}-{backend}-restore"
    restore_sets(machine, set_commands(saved.read_text()))
    machine.run([restore, "--test"], stdin=saved.read_text())


@pytest.mark.parametrize("saved", _SAVED, ids=_name)
def test_what_is_loaded_reads_back_as_the_same_text(machine: Host, saved: Path) -> None:
    """Chains, rules and their order are what iptables-legacy-save prints, to the character."""
    family, text = _family(saved), saved.read_text()
    _restore(machine, family, text)
    assert (
        _kernel_text(machine, family, TableName.FILTER)
        + _kernel_text(machine, family, TableName.NAT)
    ) == without_remarks(text)


@pytest.mark.parametrize("saved", [one for one in _SAVED if "-sets" in one.parent.name], ids=_name)
def test_sets_are_made_as_they_are_printed(machine: Host, saved: Path) -> None:
    """Each remark, without its head, is a line that ipset reads and prints back."""
    text = saved.read_text()
    restore_sets(machine, set_commands(text))

    made = machine.run(["ipset", "save"]).stdout.splitlines()
    printed = set_commands(text)
    assert sorted(_ADDED_BY_IPSET.sub("", line) for line in made) == printed
    assert printed


@pytest.mark.parametrize("saved", _SAVED, ids=_name)
def test_what_is_loaded_is_listed_as_the_same_listing(machine: Host, saved: Path) -> None:
    """Only the protocol column differs: iptables 1.8.9 prints numbers there."""
    family = _family(saved)
    _restore(machine, family, saved.read_text())
    for table in tables_of(saved.parent)[family].values():
        program = f"{_PROGRAMS[family]}-legacy"
        listed = machine.run([program, "-t", table.name.value, "-nvL"]).stdout
        assert _with_protocol_names(listed) == list_table(table, family)


def test_random_clusters_read_back_as_the_same_text(machine: Host) -> None:
    """Under any options, as the golden files do."""

    @settings(max_examples=25)
    @given(clusters(), contexts())
    def reads_back(cluster: Cluster, on_node: FamilyContext) -> None:
        family, tables = on_node.family, build(cluster.states(), on_node)
        _restore(machine, family, save_tables(tables, family))
        for table in tables.values():
            expected = without_remarks(save_table(table, family))
            assert _kernel_text(machine, family, table.name) == expected

    reads_back()


def _with_protocol_names(listed: str) -> str:
    return _PROTOCOL_NUMBER.sub(lambda found: f"{found[1]}{_PROTOCOL_NAMES[found[2]]:4} --", listed)


_COMMENTS = (
    "simple",
    "two words",
    "",
    "!",
    "-j ACCEPT",
    "\"double\" 'single' \\back\\",
    "$HOME `id` #hash",
    "trailing backslash\\",
    "ünïcödé → 💡",
    "é" * 200,
    "x" * 254 + "é",
    "x" * 300,
)


@pytest.mark.parametrize("family", Family)
def test_comments_of_all_kinds_survive(machine: Host, family: Family) -> None:
    """Quotes, backslashes, other alphabets and overlong texts read back as printed."""
    table = Table(
        TableName.FILTER,
        {"KUBE-TEST": tuple(Rule("ACCEPT", (Comment(text),)) for text in _COMMENTS)},
        (),
    )
    _restore(machine, family, save_table(table, family))
    assert _kernel_text(machine, family, TableName.FILTER) == save_table(table, family)


def test_numbers_of_all_sizes_survive(machine: Host) -> None:
    """Marks with any mask and odds between never and always are printed as iptables does."""
    marks = [(0, 0), (1, 3), (0x4000, 0x4000), (0x80000000, 0xFFFFFFFF)]
    fractions = [0, 1, 6, 7654321, 1 << 30, (1 << 31) - 1, 1 << 31]
    table = Table(
        TableName.NAT,
        {
            "KUBE-TEST": (
                *(Rule(SetMark(*mark), (MarkMatch(*mark),)) for mark in marks),
                *(Rule("ACCEPT", (Statistic(fraction),)) for fraction in fractions),
            )
        },
        (),
    )
    _restore(machine, Family.IPV4, save_table(table, Family.IPV4))
    assert _kernel_text(machine, Family.IPV4, TableName.NAT) == save_table(table, Family.IPV4)
