# SPDX-License-Identifier: Apache-2.0
"""Results as Markdown for people and as JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict

from bench.phases import PHASES
from bench.results import Row, Series, SizeResult, Unit

_COLUMNS = (
    "measurement",
    "unit",
    "ours: median (min)",
    "peer: median (min)",
    "ratio",
    "of minima",
    "of CPU",
    "limit",
    "verdict",
)

_EXPLANATION = (
    "The peer of a first load restores the same rules from prepared text; the peer of the other "
    "rows is `iptables-legacy-restore -w --noflush` of the changed service's chains at this table "
    "size. Where both sides took turns the ratio is the median of the turns' ratios, else that of "
    "the medians. Limits are on the ratio or, without a peer, on the median."
)


def markdown(results: Iterable[SizeResult], machine: Mapping[str, str]) -> str:
    """The report that people read."""
    return "\n".join(
        (
            "# Speed, side by side with iptables-legacy-restore",
            "",
            ", ".join(f"{name} {value}" for name, value in machine.items()),
            "",
            _EXPLANATION,
            *(line for result in results for line in _section(result)),
            "",
        )
    )


def as_json(results: Iterable[SizeResult], machine: Mapping[str, str]) -> str:
    """The report for programs, with every sample, in seconds."""
    sizes = [
        {**asdict(result), "rows": [_json_row(row) for row in result.rows]} for result in results
    ]
    return json.dumps({"machine": dict(machine), "sizes": sizes}, indent=2) + "\n"


def _section(result: SizeResult) -> Iterable[str]:
    yield ""
    yield (
        f"## {result.services:,} services x {result.endpoints} endpoints: "
        f"{result.rules:,} rules, {result.entries:,} table entries"
    )
    yield ""
    yield from table(_COLUMNS, [_cells(row) for row in result.rows])
    yield ""
    yield (
        f"Syncs with nothing to do: {result.idle_reads} table reads, {result.idle_commits} commits."
    )
    total = sum(result.phases.values())
    shares = (
        f"{phase} {result.phases[phase] * 1e3:.1f} ms ({result.phases[phase] / total:.0%})"
        for phase in PHASES
    )
    yield ""
    yield f"One endpoint change: {', '.join(shares)}."


def _cells(row: Row) -> tuple[str, ...]:
    return (
        row.what,
        row.unit.symbol,
        _times(row.ours, row.unit),
        _times(row.peer, row.unit),
        _ratio(row.ratio),
        _ratio(row.ratio_of_minima),
        _ratio(row.ratio_of_cpu),
        "" if row.limit is None else f"{row.limit:g}",
        row.verdict.value,
    )


def _times(series: Series | None, unit: Unit) -> str:
    if series is None:
        return ""
    return f"{unit.of(series.median):.2f} ({unit.of(series.minimum):.2f})"


def _ratio(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterable[str]:
    """Aligned, so that the source reads as well as what is made of it."""
    body = tuple(rows)
    widths = [max(map(len, column)) for column in zip(header, *body, strict=True)]
    for line in (header, ["-" * width for width in widths], *body):
        cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        yield f"| {' | '.join(cells)} |"


def _json_row(row: Row) -> dict[str, object]:
    return {
        "what": row.what,
        "unit": row.unit.symbol,
        "ours": _json_series(row.ours),
        "peer": row.peer and _json_series(row.peer),
        "ratio": row.ratio,
        "ratio_of_minima": row.ratio_of_minima,
        "ratio_of_cpu": row.ratio_of_cpu,
        "limit": row.limit,
        "verdict": row.verdict.value,
    }


def _json_series(series: Series) -> dict[str, object]:
    return {
        "median": series.median,
        "minimum": series.minimum,
        "median_cpu": series.median_cpu,
        "samples": [asdict(sample) for sample in series.samples],
    }
