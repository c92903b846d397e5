# SPDX-License-Identifier: Apache-2.0
"""Manifests in, rules out: the expected files of each case are reproduced to the byte.

``pytest tests/golden --update-golden`` writes them anew. Every expected text is also given to
iptables itself: see tests/kernel/test_save_text.py.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from rules.check import check_tables
from rules.ir import Family, Tables
from rules.jsonform import json_families
from rules.listing import list_tables
from rules.text import save_tables
from tests.golden.loading import CASES, tables_of

_ALWAYS = frozenset({"ipv4.save", "ipv6.save"})


def _outputs(tables: Mapping[Family, Tables]) -> dict[str, str]:
    """All files that a case may hold, by name."""
    outputs = {"dump.json": json.dumps(json_families(tables), indent=1) + "\n"}
    for family in tables:
        outputs[f"{family.value}.save"] = save_tables(tables[family], family)
        outputs[f"{family.value}.list"] = list_tables(tables[family], family)
    return outputs


def _wanted(case: Path) -> frozenset[str]:
    """The files that a case is compared by: the saves, and whichever others are there."""
    return _ALWAYS | {path.name for path in case.iterdir() if path.suffix != ".yaml"}


def _cases() -> list[Path]:
    return sorted(path for path in CASES.iterdir() if path.is_dir())


@pytest.mark.parametrize("case", _cases(), ids=lambda case: case.name)
def test_manifests_give_the_expected_rules(case: Path, pytestconfig: pytest.Config) -> None:
    """Each expected file is what the case's manifests give, and the rules are sound."""
    tables = tables_of(case)
    outputs = _outputs(tables)
    for family_tables in tables.values():
        check_tables(family_tables)
    if pytestconfig.getoption("--update-golden"):
        for name in _wanted(case):
            (case / name).write_text(outputs[name])
    for name in _wanted(case):
        assert (case / name).read_text() == outputs[name], f"{name} differs"


def test_there_are_cases() -> None:
    """A wrong path would leave nothing to compare, and nobody would notice."""
    assert {"document", "empty-cluster"} <= {case.name for case in _cases()}
