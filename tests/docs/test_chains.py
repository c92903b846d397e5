# SPDX-License-Identifier: Apache-2.0
"""The table and the drawing of all chains, compared with the rules of the golden cases."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from typing import Final

from rules import names
from tests.docs.markdown import code_in, read, table_rows
from tests.golden.loading import CASES

_PACKET: Final = read("hack/docs/packet.md")
_HASH: Final = re.compile(rf"({'|'.join(names.SERVICE_PREFIXES)})[A-Z2-7]{{16}}")
_JUMP: Final = re.compile(r"-A (\S+) (?:.* )?-j (KUBE-\S+)")


def _golden_jumps() -> Iterator[tuple[str, str, str]]:
    """Table, origin and target of each jump in the golden files, ``*`` in place of hashes."""
    for path in sorted(CASES.glob("*/*.save")):
        table = ""
        for line in path.read_text().splitlines():
            if line.startswith("*"):
                table = line[1:]
            elif jump := _JUMP.fullmatch(line):
                yield table, _HASH.sub(r"\1*", jump[1]), _HASH.sub(r"\1*", jump[2])


def test_chains_are_reached_as_told() -> None:
    """The table names all chains and all jumps between them that any golden rule set has."""
    told = {
        (row["table"], origin, target)
        for row in table_rows(_PACKET.section("All chains"))
        for target in code_in(row["chain"])
        for origin in code_in(row["reached from"])
    }

    assert told == set(_golden_jumps())


def test_picture_shows_each_chain() -> None:
    """The picture has all chains of the table but KUBE-MARK-MASQ, which almost all lead to."""
    (picture,) = _PACKET.blocks("text")
    chains = {target for _, _, target in _golden_jumps()}

    assert set(re.findall(r"KUBE-[A-Z-]+\*?", picture)) == chains - {names.MARK_MASQ}


def test_picture_shows_the_order_in_the_filter_table() -> None:
    """Under each built-in chain of filter stand our chains in the order in which it has them."""
    (picture,) = _PACKET.blocks("text")
    lines = picture.splitlines()
    (start,) = (number for number, line in enumerate(lines) if "INPUT" in line)
    columns = [match.span()[0] for match in re.finditer(r"[A-Z]+", lines[start])]
    shown: defaultdict[str, list[str]] = defaultdict(list)
    for line in lines[start + 1 :]:
        if "KUBE-" not in line:
            break
        for column in columns:
            shown[lines[start][column:].split()[0]] += line[column:].split("  ")[0].split()

    (filter_text, _) = (CASES / "document" / "ipv4.save").read_text().split("*nat\n")
    real: defaultdict[str, list[str]] = defaultdict(list)
    for origin, target in _JUMP.findall(filter_text):
        real[origin].append(target)
    assert shown == real
