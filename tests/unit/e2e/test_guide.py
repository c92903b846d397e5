# SPDX-License-Identifier: Apache-2.0
"""The guide for those who write scenarios, held against the schema."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final, get_args

import pytest

from tests.e2e.loading import load_files
from tests.e2e.schema import AnyStep, Scenario

_GUIDE: Final = (Path(__file__).parents[2] / "e2e" / "README.md").read_text()
_STEPS: Final = {step.__struct_config__.tag: step for step in get_args(AnyStep)}
_ASKING: Final = {"from", "to", "protocol", "families", "via"}
_ROW: Final = re.compile(r"^\| `(?P<step>\w+)` \| (?P<fields>[^|]*) \|", re.MULTILINE)


def _rows() -> dict[str, set[str]]:
    """The fields that the table of steps has, by step."""
    rows = {}
    for row in _ROW.finditer(_GUIDE.partition("## Steps")[2].partition("## References")[0]):
        fields = {words.partition(":")[0] for words in re.findall(r"`([^`]+)`", row["fields"])}
        rows[row["step"]] = fields | (_ASKING if "asking" in row["fields"] else set())
    return rows


def test_the_example_is_a_scenario(tmp_path: Path) -> None:
    """Who copies it has one that can be read."""
    (example,) = re.findall(r"```yaml\n(.*?)```", _GUIDE, re.DOTALL)
    file = tmp_path / "example.yaml"
    file.write_text(example)

    assert [scenario.name for scenario in load_files([file])] == ["example"]


@pytest.mark.parametrize("step", _STEPS)
def test_each_step_is_explained(step: str) -> None:
    """The guide has each step with all its fields, and no others."""
    assert _rows()[step] == set(_STEPS[step].__struct_encode_fields__) - {"note"}


def test_no_other_step_is_explained() -> None:
    """What the guide has can be written."""
    assert set(_rows()) == set(_STEPS)


def test_each_field_of_a_scenario_is_explained() -> None:
    """The guide has them all."""
    assert [name for name in Scenario.__struct_encode_fields__ if f"`{name}`" not in _GUIDE] == []
