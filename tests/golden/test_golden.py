# SPDX-License-Identifier: Apache-2.0
"""Manifests in, rules out: the expected files of each case are reproduced to the byte.

``pytest tests/golden --update-golden`` writes them anew. Every expected text is also given to
iptables itself: see tests/kernel/test_save_text.py.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

from dataplane.sources.base import LoggingObserver
from dataplane.sources.manifests import load_manifests
from dataplane.state import ClusterState
from rules.build import build
from rules.check import check_tables
from rules.context import DetectLocalMode, ProxyOptions, family_context
from rules.ir import Family, Tables
from rules.jsonform import json_families
from rules.listing import list_tables
from rules.text import save_tables
from tests.address_plan import IPV4, IPV6, THIS_NODE

CASES = Path(__file__).parent / "cases"
_ALWAYS = frozenset({"ipv4.save", "ipv6.save"})


def _options(case: Path) -> tuple[ProxyOptions, tuple[str, ...]]:
    """The case's options, and the local addresses that node ports are restricted to."""
    path = case / "options.yaml"
    fields = yaml.safe_load(path.read_text()) if path.exists() else {}
    addresses = tuple(fields.pop("node_port_addresses", ()))
    if "detect_local_mode" in fields:
        fields["detect_local_mode"] = DetectLocalMode(fields["detect_local_mode"])
    options = ProxyOptions(cluster_cidrs=(IPV4.cluster_cidr, IPV6.cluster_cidr), **fields)
    return options, addresses


def _tables(case: Path) -> Mapping[Family, Tables]:
    state = ClusterState(on_change=lambda: None)
    manifests = load_manifests([case / "input.yaml"], THIS_NODE, LoggingObserver())
    assert manifests.errors == (), "the case would silently test less than it says"
    manifests.deliver(state)
    picture = state.picture()
    assert picture
    options, addresses = _options(case)
    return {
        family: build(picture.services, family_context(options, picture.node, family, addresses))
        for family in Family
    }


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
    tables = _tables(case)
    outputs = _outputs(tables)
    for family_tables in tables.values():
        check_tables(family_tables)
    if pytestconfig.getoption("--update-golden"):
        if os.environ.get("CI"):
            pytest.fail("--update-golden would make every test pass: it is refused in CI")
        for name in _wanted(case):
            (case / name).write_text(outputs[name])
    for name in _wanted(case):
        assert (case / name).read_text() == outputs[name], f"{name} differs"


def test_there_are_cases() -> None:
    """A wrong path would leave nothing to compare, and nobody would notice."""
    assert {"document", "empty-cluster"} <= {case.name for case in _cases()}
