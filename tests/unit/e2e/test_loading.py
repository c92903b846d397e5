# SPDX-License-Identifier: Apache-2.0
"""Reading files of scenarios."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from rules.ir import Family
from tests.e2e.loading import ScenarioError, load_files, load_folder
from tests.e2e.schema import Probe, Program, SetPod

_SCENARIOS: Final = Path(__file__).parents[2] / "e2e" / "scenarios"
_GOOD: Final = """\
name: good
description: It is good.
pods: [{name: one, node: node-a}]
steps:
  - do: probe
    from: client
    to: <pod/one.ip>:8080
    families: [ipv6]
    expect: {pods: [one]}
    except: {kube-proxy: {reason: It cannot.}}
  - {do: setPod, name: one, ready: false}
"""


def _write(folder: Path, *documents: str) -> Path:
    file = folder / "some.yaml"
    file.write_text("---\n".join(documents))
    return file


def test_a_file_is_decoded(tmp_path: Path) -> None:
    """Each field comes to where the schema has it, and each step has its type."""
    (scenario,) = load_files([_write(tmp_path, _GOOD)])

    probe, change = scenario.steps
    assert isinstance(probe, Probe)
    assert probe.families == (Family.IPV6,)
    assert probe.expect.pods == ("one",)
    assert probe.differences[Program.KUBE_PROXY].expect is None
    assert change == SetPod(name="one", ready=False)
    assert scenario.pods[0].ports == {"http": 8080}


@pytest.mark.parametrize(
    ("wrong", "right", "field", "reason"),
    [
        ("descriptoin: It", "description: It", "$", "unknown field `descriptoin`"),
        ("do: prob\n", "do: probe\n", "$.steps[0].do", "Invalid value 'prob'"),
        ("ready: maybe", "ready: false", "$.steps[1].ready", "Expected `bool | null`"),
        ("{result: lost}", "{pods: [one]}", "$.steps[0].expect.result", "Invalid enum value"),
        ("{same: true}", "{pods: [one]}", "$.steps[0].expect", "exactly one of"),
        (
            "{pods: [one], source: kept}\n    together: true",
            "{pods: [one]}",
            "$.steps[0]",
            "together",
        ),
        ("name: Good", "name: good", "$.name", "matching regex"),
        ("[ipv5]", "[ipv6]", "$.steps[0].families[0]", "Invalid enum value 'ipv5'"),
    ],
)
def test_a_wrong_field_is_named(
    tmp_path: Path, wrong: str, right: str, field: str, reason: str
) -> None:
    """The error says in which file, which scenario and which field, and why."""
    file = _write(tmp_path, _GOOD.replace("good", "first"), _GOOD.replace(right, wrong))

    with pytest.raises(ScenarioError) as raised:
        load_files([file])

    assert (raised.value.file, raised.value.document, raised.value.field) == (file, 2, field)
    assert reason in str(raised.value)


def test_a_key_that_stands_twice(tmp_path: Path) -> None:
    """One of two values would be lost: it is refused."""
    with pytest.raises(
        ScenarioError, match=r"some\.yaml: is not valid YAML: .*'name' stands twice"
    ):
        load_files([_write(tmp_path, "name: other\n" + _GOOD)])


def test_two_scenarios_of_one_name(tmp_path: Path) -> None:
    """Their namespaces would be the same: it is refused."""
    with pytest.raises(ScenarioError, match=r"scenario 2, .*'good' already"):
        load_files([_write(tmp_path, _GOOD, _GOOD)])


def test_two_pods_of_one_name(tmp_path: Path) -> None:
    """Answers could not be told apart: it is refused."""
    again = "  - {do: pods, pods: [{name: one, node: node-b}]}\n"
    with pytest.raises(ScenarioError, match="two pods are called 'one'"):
        load_files([_write(tmp_path, _GOOD + again)])


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """The error names it."""
    with pytest.raises(ScenarioError, match=r"gone\.yaml: cannot be read"):
        load_files([tmp_path / "gone.yaml"])


def test_all_scenarios_can_be_read() -> None:
    """The files of this project follow the schema."""
    assert len(load_folder(_SCENARIOS)) >= 10
