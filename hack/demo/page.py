# SPDX-License-Identifier: Apache-2.0
"""The demo's output: sections, prose, listings, and claims that are checked as they are made."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

_WIDTH = 96
_BOLD, _GREEN, _RED, _DIM = "1", "32", "1;31", "2"


class Page:
    """Writes to one stream; in colour if that is a terminal."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._in_colour = stream.isatty() and "NO_COLOR" not in os.environ
        self._sections = 0
        self.failures: list[str] = []

    def section(self, title: str) -> None:
        """Begin the next numbered section."""
        self._sections += 1
        heading = f"{self._sections}. {title} "
        self._write()
        self._write(self._coloured(heading.ljust(_WIDTH, "-"), _BOLD))

    def say(self, prose: str) -> None:
        """Print a paragraph, wrapped."""
        self._write()
        self._write(textwrap.fill(" ".join(prose.split()), _WIDTH))

    def command(self, argv: Sequence[str]) -> None:
        """Print a command as somebody on the node would type it."""
        program, *arguments = argv
        self._write()
        line = " ".join([Path(program).name, *arguments])
        self._write(self._coloured(f"  node# {line}", _BOLD))

    def listing(self, text: str) -> None:
        """Print text as it is, indented."""
        for line in text.rstrip("\n").splitlines():
            self._write(f"  {line}".rstrip())

    def table(self, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Print rows in columns that are as wide as they must be."""
        widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
        self._write()
        for number, row in enumerate((header, *rows)):
            cells = zip(row, widths, strict=True)
            line = "  ".join(cell.ljust(width) for cell, width in cells).rstrip()
            self._write("  " + (line if number else self._coloured(line, _DIM)))

    def expect(self, claim: str, *, holds: bool) -> None:
        """State a claim and whether it holds; the demo fails if one does not."""
        if not holds:
            self.failures.append(claim)
        mark = self._coloured("[ok]", _GREEN) if holds else self._coloured("[FAILED]", _RED)
        self._write(f"  {mark} {claim}")

    def blank(self) -> None:
        """Print an empty line."""
        self._write()

    def _coloured(self, text: str, colour: str) -> str:
        return f"\x1b[{colour}m{text}\x1b[0m" if self._in_colour else text

    def _write(self, line: str = "") -> None:
        print(line, file=self._stream, flush=True)
