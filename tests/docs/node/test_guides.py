# SPDX-License-Identifier: Apache-2.0
"""Sections of hack/docs that need a node: their commands as root, and what the agent writes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from tests.docs.console import Section, exports, sections
from tests.docs.elsewhere import is_run_here
from tests.docs.guides import GUIDES, guide
from tests.docs.node.situations import SITUATIONS, Situation
from tests.docs.node.stand import GIVEN, Stand, stand


class _Part(NamedTuple):
    """A section of a document that needs a node."""

    name: str
    section: Section

    @property
    def key(self) -> tuple[str, str]:
        """By which its situation is known."""
        return Path(self.name).name, self.section.heading

    def read_on(self, node: Stand) -> None:
        """Do what the section tells to do as root, and look for what the agent should write."""
        commands = [one for one in self.section.commands if one.needs_root and is_run_here(one)]
        if commands:
            node.type_in(commands, exports(guide(self.name), GIVEN))
        for line in self.section.log_lines:
            node.wait_for(line)


_PARTS: Final = {
    f"{Path(name).stem}: {section.heading}": _Part(name, section)
    for name in GUIDES
    for section in sections(guide(name))
    if section.log_lines or any(one.needs_root and is_run_here(one) for one in section.commands)
}
_IN_TROUBLE: Final = {title: part for title, part in _PARTS.items() if part.key in SITUATIONS}


@pytest.fixture(scope="module")
def well(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    """A node where all is well, for all sections that change nothing on it."""
    with stand(tmp_path_factory.mktemp("well")) as node:
        node.start(["--metrics-per-service=10"])
        yield node


@pytest.mark.parametrize("title", sorted(_PARTS.keys() - _IN_TROUBLE.keys()))
def test_sections_on_a_node_that_is_well(title: str, well: Stand) -> None:
    """Each command for root prints what is shown, and the agent writes the lines of the log."""
    _PARTS[title].read_on(well)


@pytest.mark.parametrize("title", sorted(_IN_TROUBLE))
def test_sections_on_a_node_in_trouble(title: str, tmp_path: Path) -> None:
    """The same, on a node that has the trouble that the section is about."""
    part = _IN_TROUBLE[title]
    situation: Situation = SITUATIONS[part.key]
    with stand(tmp_path) as node:
        situation.before(node)
        node.start(situation.flags)
        situation.after(node)
        part.read_on(node)


def test_metrics_exist(well: Stand) -> None:
    """Each metric that a document names is one that the agent has."""
    named = {
        re.sub(r"_(bucket|sum)$", "", name)
        for text in (guide(name).text for name in GUIDES)
        for name in re.findall(r"\b(?:kubeproxy|dataplane)_[a-z_]+[a-z](?=[`{)\[ ])", text)
    }

    assert len(named) > 20
    assert named <= well.metrics()


def test_situations_are_those_of_sections() -> None:
    """A situation whose heading was changed would leave the section without its trouble."""
    assert {part.key for part in _IN_TROUBLE.values()} == SITUATIONS.keys()
