# SPDX-License-Identifier: Apache-2.0
"""The pictures of hack/docs: what the code's rules give today, and what they claim to show."""

from __future__ import annotations

import re
from typing import Final
from xml.etree import ElementTree as ET

import pytest

from pictures.album import FOLDER, pictures
from pictures.scenes import SCENES, play
from pictures.story import stages
from rules.trace.tracer import Fate

_DRAWN: Final = dict(pictures())
_TEXT: Final = "{http://www.w3.org/2000/svg}text"


@pytest.mark.parametrize("name", sorted(_DRAWN))
def test_pictures_are_those_of_the_code(name: str) -> None:
    """Each committed picture equals, byte for byte, what ``make pictures`` would write."""
    assert (FOLDER / name).read_bytes() == _DRAWN[name].encode(), "run make pictures"


def test_no_other_picture_is_kept() -> None:
    """A picture that nobody draws any more would never be brought up to date."""
    assert {path.name for path in FOLDER.iterdir()} == _DRAWN.keys()


@pytest.mark.parametrize("name", sorted(SCENES))
def test_each_rule_that_is_met_is_drawn(name: str) -> None:
    """All chains that the packet comes to are on the picture, and all rules that it meets."""
    played = play(SCENES[name])
    told = stages(played.rules, played.paths)
    boxes = {box.name for stage in told for box in stage.boxes}
    met = {(step.chain, step.number) for path in played.paths for step in path.steps}
    drawn = ET.fromstring(_DRAWN[f"{name}.svg"])  # noqa: S314 - we wrote it
    words = [text.text or "" for text in drawn.iter(_TEXT)]

    assert {chain for chain, _ in met} <= boxes <= set(words)
    assert sum(bool(re.fullmatch(r"\d+%", word)) for word in words) >= len(met)


@pytest.mark.parametrize(
    ("name", "fate"),
    [
        ("source-ranges-refused", Fate.DROPPED),
        ("no-local-endpoint", Fate.DROPPED),
        ("no-endpoint", Fate.REJECTED),
        ("cluster-ip", Fate.SENT),
        ("hairpin", Fate.SENT),
        ("large-cluster", Fate.SENT),
    ],
)
def test_scenes_show_what_they_are_for(name: str, fate: Fate) -> None:
    """A change of the manifests must not make a picture show something else than its text says."""
    assert {path.outcome.fate for path in play(SCENES[name]).paths} == {fate}
