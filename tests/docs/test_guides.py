# SPDX-License-Identifier: Apache-2.0
"""hack/docs: commands without root are run, and what the documents name has to exist."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from pathlib import Path
from typing import Final

import pytest
import yaml

from pictures.scenes import SCENES
from tests.docs.console import PATH, exports, sections, type_in
from tests.docs.elsewhere import ELSEWHERE, is_run_here
from tests.docs.guides import FOLDER, GUIDES, guide
from tests.docs.markdown import ROOT, code_in, table_rows
from tests.docs.node.stand import GIVEN
from tests.shipping.cluster import ClusterModel, Machine
from tests.shipping.kubectl import kubectl_of

_PACKET: Final = "hack/docs/packet.md"
_DIFFERING: Final = "Scenarios that kube-proxy does not pass"
_COMMANDS: Final = [(name, command) for name in GUIDES for command in guide(name).commands()]


@pytest.mark.parametrize("name", GUIDES)
def test_commands_without_root_print_what_is_shown(name: str, tmp_path: Path) -> None:
    """Section by section, on the machine of an operator whose cluster has kube-proxy."""
    document = guide(name)
    cluster = ClusterModel(machines={f"node-{letter}": Machine() for letter in "abc"})
    with kubectl_of(cluster, tmp_path):
        for section in sections(document):
            commands = [one for one in section.commands if not one.needs_root and is_run_here(one)]
            if commands:
                type_in(
                    commands,
                    before=exports(document, GIVEN),
                    environment={"PATH": f"{tmp_path}:{PATH}"},
                )


def test_what_is_run_elsewhere_is_needed() -> None:
    """The list of commands that are run elsewhere has no entry too many."""
    for pattern in ELSEWHERE:
        assert any(re.fullmatch(pattern, one.line) for _, one in _COMMANDS), pattern


def test_files_that_docker_is_given_exist() -> None:
    """The image is built from the files that the documents name."""
    lines = [shlex.split(one.line) for _, one in _COMMANDS if one.line.startswith("docker build")]

    assert lines
    for words in lines:
        assert (ROOT / words[words.index("--file") + 1]).is_file()


def test_flags_of_the_reader_exist() -> None:
    """What the reader sets FLAGS to, and gives to commands besides, are flags of all of them."""
    printed = {
        name: subprocess.run(
            ["dataplane", name, "--help"],
            env={**os.environ, "PATH": PATH},
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        ).stdout
        for name in ("diff", "trace", "services", "top")
    }
    (given, *others) = [one.line for _, one in _COMMANDS if one.line.startswith("export FLAGS=")]

    for flag in re.findall(r"--[a-z-]+", " ".join((given, *others))):
        assert all(flag in text for text in printed.values()), flag


def test_scenarios_that_differ_are_listed() -> None:
    """Each scenario that says of kube-proxy that it differs is in the list, and no other."""
    scenarios = [
        one
        for path in (ROOT / "tests" / "e2e" / "scenarios").glob("*.yaml")
        for one in yaml.safe_load_all(path.read_text())
    ]
    differing = {
        one["name"] for one in scenarios if any("except" in part for part in (one, *one["steps"]))
    }
    rows = table_rows(guide("hack/docs/differences.md").section(_DIFFERING))

    assert {name for row in rows for name in code_in(row["scenario"])} == differing


def test_alerts_are_those_that_are_shipped() -> None:
    """The table of alerts has each of hack/monitoring, in the same order."""
    groups = yaml.safe_load((ROOT / "hack" / "monitoring" / "alerts.yaml").read_text())["groups"]
    rows = table_rows(guide("hack/docs/metrics.md").section("What to alert on"))

    assert [name for row in rows for name in code_in(row["alert"])] == [
        rule["alert"] for group in groups for rule in group["rules"]
    ]


def test_pictures_and_traces_are_of_the_same_packets() -> None:
    """Under each picture stands the trace of the packet that it shows."""
    text = (FOLDER / "packet.md").read_text()
    shown = re.findall(r"pictures/([\w-]+)\.svg\)(.*?)(?=pictures/|\Z)", text, flags=re.DOTALL)

    assert {name for name, _ in shown} == SCENES.keys()
    for name, below in shown:
        scene = SCENES[name]
        if not scene.is_large:
            assert f"--from {scene.source} --to {scene.target}\n" in below, name
