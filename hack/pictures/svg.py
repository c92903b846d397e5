# SPDX-License-Identifier: Apache-2.0
"""A story as SVG: chains from top to bottom, each under the one that leads to it, indented.

What the packet may meet stands out, with its odds; colours follow the reader's light or dark mode.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Final, NamedTuple
from xml.sax.saxutils import escape

from pictures.story import Box, Line, Stage

_CHARACTER: Final = 7.3
_LINE: Final = 20
_INDENT: Final = 24
_PADDING: Final = 10
_GAP: Final = 10
_COLUMN_GAP: Final = 24
_MARGIN: Final = 16
_ODDS: Final = 56
"""Room for the odds beside the boxes."""
_NAMESPACE: Final = 'xmlns="http://www.w3.org/2000/svg"'
_STYLE: Final = """
    text { font: 12px ui-monospace, Menlo, Consolas, monospace; fill: #57606a; }
    .sheet { fill: #ffffff; } .box { fill: #f6f8fa; stroke: #8c959f; }
    .title, .name { fill: #1f2328; font-weight: bold; } .stage { fill: #0550ae; font-weight: bold; }
    .met { fill: #116329; font-weight: bold; } .row { fill: #dafbe1; } .way { stroke: #8c959f; }
    @media (prefers-color-scheme: dark) {
      text { fill: #9198a1; } .sheet { fill: #0d1117; } .box { fill: #151b23; stroke: #656c76; }
      .title, .name { fill: #f0f6fc; } .stage { fill: #79c0ff; }
      .met { fill: #7ee787; } .row { fill: #12361f; } .way { stroke: #656c76; }
    }
  """


class Sheet(NamedTuple):
    """All that stands on a picture."""

    title: str
    subtitle: str
    stages: tuple[Stage, ...]
    ends: tuple[str, ...]
    """What becomes of the packet."""


class _Pen:
    """Writes elements from top to bottom."""

    def __init__(self, width: float) -> None:
        self.width = width
        self.y = float(_MARGIN)
        self.elements: list[str] = []

    def text(self, x: float, words: str, kind: str = "", *, at_end: bool = False) -> None:
        """Words in the line that begins at the pen."""
        anchor = ' text-anchor="end"' if at_end else ""
        style = f' class="{kind}"' if kind else ""
        place = f'x="{_number(x)}" y="{_number(self.y + 14)}"'
        self.elements.append(f"<text {place}{anchor}{style}>{escape(words)}</text>")

    def block(self, x: float, width: float, height: float, kind: str) -> None:
        """A rectangle that begins at the pen."""
        corner = f'x="{_number(x)}" y="{_number(self.y)}"'
        size = f'width="{_number(width)}" height="{_number(height)}"'
        rounded = ' rx="4"' if kind == "box" else ""
        self.elements.append(f'<rect {corner} {size}{rounded} class="{kind}"/>')

    def way(self, x: float, top: float, end: float) -> None:
        """From a chain down, and right to the one that it leads to."""
        path = f"M{_number(x)} {_number(top)}V{_number(self.y + _LINE / 2)}H{_number(end)}"
        self.elements.append(f'<path d="{path}" class="way" fill="none"/>')


def draw(sheet: Sheet) -> str:
    """The picture."""
    boxes = [box for stage in sheet.stages for box in stage.boxes]
    titles = (sheet.title, sheet.subtitle, *sheet.ends)
    text_width = max(len(text) for text in titles) * _CHARACTER
    content = max(text_width, *(box.depth * _INDENT + _width(box) for box in boxes))
    pen = _Pen(content + 2 * _MARGIN + _ODDS)
    for words, kind in ((sheet.title, "title"), (sheet.subtitle, "")):
        pen.text(_MARGIN, words, kind)
        pen.y += _LINE
    for stage in sheet.stages:
        _draw_stage(pen, stage, content)
    pen.y += _GAP
    for end in sheet.ends:
        pen.text(_MARGIN, end, "met")
        pen.y += _LINE
    return _document(sheet, pen)


def _document(sheet: Sheet, pen: _Pen) -> str:
    size = f"{_number(pen.width)} {_number(pen.y + _MARGIN)}"
    width, height = size.split()
    return "\n".join(
        (
            f'<svg {_NAMESPACE} role="img" width="{width}" height="{height}" viewBox="0 0 {size}">',
            f"<title>{escape(sheet.title)}: {escape(sheet.subtitle)}</title>",
            f"<desc>{escape('; '.join(sheet.ends))}</desc>",
            f"<style>{_STYLE}</style>",
            '<rect width="100%" height="100%" class="sheet"/>',
            *pen.elements,
            "</svg>",
            "",
        )
    )


def _draw_stage(pen: _Pen, stage: Stage, content: float) -> None:
    pen.y += _GAP
    pen.text(_MARGIN, stage.title, "stage")
    pen.y += _LINE
    bottoms: list[float] = []
    for box in stage.boxes:
        left = _MARGIN + box.depth * _INDENT
        if box.depth:
            pen.way(left - _INDENT / 2, bottoms[box.depth - 1], left)
        _draw_box(pen, box, left, _MARGIN + content)
        del bottoms[box.depth :]
        bottoms.append(pen.y)
        pen.y += _GAP


def _draw_box(pen: _Pen, box: Box, left: float, right: float) -> None:
    lines = box.lines or (Line("no rules"),)
    pen.block(left, right - left, (1 + len(lines)) * _LINE + _GAP / 2, "box")
    pen.text(left + _PADDING, box.name, "name")
    pen.y += _LINE
    for line in lines:
        kind = "met" if line.odds else ""
        if line.odds:
            pen.block(left + 1, right - left - 2, _LINE, "row")
            pen.text(right + _ODDS, _odds_text(line.odds), kind, at_end=True)
        pen.text(left + _PADDING, line.condition, kind)
        pen.text(right - _PADDING, line.effect, kind, at_end=True)
        pen.y += _LINE
    pen.y += _GAP / 2


def _width(box: Box) -> float:
    longest = max((len(line.condition) + len(line.effect) for line in box.lines), default=0)
    return max(longest, len(box.name)) * _CHARACTER + _COLUMN_GAP + 2 * _PADDING


def _odds_text(odds: Fraction) -> str:
    return f"{float(odds):.0%}"


def _number(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
