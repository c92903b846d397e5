# SPDX-License-Identifier: Apache-2.0
"""All pictures: each scene played, told and drawn."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from pictures.scenes import SCENES, Scene, play
from pictures.story import stages
from pictures.svg import Sheet, draw
from rules.trace.report import Trace
from rules.trace.words import trace_words

FOLDER: Final = Path(__file__).parents[1] / "docs" / "pictures"


def pictures() -> Iterator[tuple[str, str]]:
    """The name of each file, and what stands in it."""
    for name, scene in SCENES.items():
        yield f"{name}.svg", draw(_sheet(scene))


def _sheet(scene: Scene) -> Sheet:
    played = play(scene)
    # In the words of the command, so that picture and trace can be laid side by side.
    (subtitle, _, _, *rest) = trace_words(Trace(played.packet, played.paths)).splitlines()
    ends = tuple(line.strip() for line in rest[: rest.index("")])
    return Sheet(scene.title, subtitle, stages(played.rules, played.paths), ends)
