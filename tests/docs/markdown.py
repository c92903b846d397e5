# SPDX-License-Identifier: Apache-2.0
"""The parts of a Markdown document that can be held against the program.

Only what our own documents use: fenced blocks, headings, pipe tables, inline links and code.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]

_FENCED: Final = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_SECTION: Final = re.compile(r"^#+ (.+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Command:
    """A line that a reader is told to type, and what the document says is printed."""

    line: str
    needs_root: bool
    output: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Document:
    """One Markdown file."""

    text: str

    @property
    def prose(self) -> str:
        """All that stands outside of fenced blocks."""
        return _FENCED.sub("", self.text)

    def blocks(self, language: str) -> list[str]:
        """The contents of the fenced blocks of a language."""
        return [content for found, content in _FENCED.findall(self.text) if found == language]

    def section(self, heading: str) -> str:
        """What stands under a heading, up to the next one."""
        (_, *parts) = _SECTION.split(self.prose)
        return dict(zip(parts[::2], parts[1::2], strict=True))[heading]

    def sections(self) -> list[tuple[str, str]]:
        """Each heading with all that stands under it, fenced blocks too, up to the next one."""
        parts = re.split(rf"({_FENCED.pattern})", self.text, flags=_FENCED.flags)
        found: list[tuple[str, str]] = [("", "")]
        # Each fence comes as a whole and, by the groups of its pattern, in two parts.
        for prose, fence in zip_longest(parts[::4], parts[1::4], fillvalue=""):
            (before, *rest) = _SECTION.split(prose)
            found[-1] = (found[-1][0], found[-1][1] + before)
            found += zip(rest[::2], rest[1::2], strict=True)
            found[-1] = (found[-1][0], found[-1][1] + fence)
        return found

    def commands(self) -> list[Command]:
        """The commands of all console blocks, after ``$``, or after ``#`` where they need root."""
        return [
            command
            for block in self.blocks("console")
            for command in _commands_of(block.splitlines())
        ]

    def code(self) -> list[str]:
        """All inline code."""
        return re.findall(r"`([^`]+)`", self.prose)

    def links(self) -> list[str]:
        """The targets of all links into this repository."""
        targets = re.findall(r"\]\(([^)]+)\)", self.prose)
        return [target for target in targets if "://" not in target]


def read(name: str) -> Document:
    """The document of that name at the top of the repository."""
    return Document((ROOT / name).read_text())


def table_rows(text: str) -> list[Mapping[str, str]]:
    """The rows of the one table in ``text``, by the headings of its columns."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    (header, _, *rows) = [_cells(line) for line in lines]
    return [dict(zip(header, row, strict=True)) for row in rows]


def code_in(cell: str) -> list[str]:
    """The pieces of code in a cell of a table."""
    return re.findall(r"`([^`]+)`", cell)


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def _commands_of(lines: list[str]) -> Iterator[Command]:
    starts = [number for number, line in enumerate(lines) if line.startswith(("$ ", "# "))]
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        yield Command(
            line=lines[start][2:],
            needs_root=lines[start].startswith("#"),
            output=tuple(lines[start + 1 : end]),
        )
