# SPDX-License-Identifier: Apache-2.0
"""How cost grows with the number of Services, as one picture of several plots."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.cluster.contenders import Contender
from bench.cluster.costs import SizeResult, Way
from bench.cluster.rows import (
    CHANGE,
    CHANGE_CPU,
    COLD_START,
    LATENCIES,
    PEAK_MEMORY,
    RESTART,
    Row,
)

_ENDPOINTS: Final = 10
"""Only clusters with as many a Service are comparable."""
_PLOTS: Final = (
    COLD_START,
    CHANGE,
    CHANGE_CPU,
    PEAK_MEMORY,
    RESTART,
    LATENCIES[Way.FIRST][0],
    LATENCIES[Way.LAST][0],
    LATENCIES[Way.POD][0],
)
_COLUMNS: Final = 4
_INCHES: Final = (16.0, 7.0)


def draw(sizes: Iterable[SizeResult], file: Path) -> None:
    """Write the picture, in the format of the file's name."""
    figure = Figure(figsize=_INCHES, layout="constrained")
    axes = list(figure.subplots(len(_PLOTS) // _COLUMNS, _COLUMNS).flat)
    comparable = [size for size in sizes if size.shape.endpoints == _ENDPOINTS]
    for plot, row in zip(axes, _PLOTS, strict=True):
        _draw_row(plot, row, comparable)
    _name_lines(figure, axes)
    figure.savefig(file)


def points(
    row: Row, sizes: Iterable[SizeResult], contender: Contender
) -> Sequence[tuple[int, float]]:
    """Numbers of Services and what was measured with them, in ascending order."""
    readings = [
        (size.shape.services, row.reading(size.results[contender]))
        for size in sizes
        if contender in size.results
    ]
    return sorted((services, value) for services, value in readings if value is not None)


def _name_lines(figure: Figure, axes: Iterable[Axes]) -> None:
    """Name each contender once, whichever of the plots it appears in."""
    lines = {
        label: line
        for plot in axes
        for line, label in zip(*plot.get_legend_handles_labels(), strict=True)
    }
    if lines:
        figure.legend(lines.values(), lines.keys(), loc="outside lower center", ncols=len(lines))


def _draw_row(plot: Axes, row: Row, sizes: Sequence[SizeResult]) -> None:
    for contender in Contender:
        line = points(row, sizes, contender)
        if line:
            plot.plot(*zip(*line, strict=True), marker="o", label=contender.value)
    plot.set_title(f"{row.what}, {row.unit}", fontsize="medium")
    plot.set_xlabel(f"Services with {_ENDPOINTS} endpoints each", fontsize="small")
    plot.set_xscale("log")
    plot.set_yscale("log")
    plot.grid(visible=True, which="both", alpha=0.3)
