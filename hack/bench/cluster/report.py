# SPDX-License-Identifier: Apache-2.0
"""Results as Markdown for people and as JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Final

from bench.cluster.contenders import Contender
from bench.cluster.costs import ContenderResult, SizeResult
from bench.cluster.limits import Judgement
from bench.cluster.metering import SAMPLE_PAUSE_SECONDS
from bench.cluster.rows import ROWS, Row
from bench.report import table

_PEER: Final = Contender.KUBE_PROXY
_EXPLANATION: Final = (
    "Each contender serves a node of its own (a network namespace with its own xtables lock) from "
    "the same API server, one after the other, with the settings that it is shipped with. Times "
    "run from the API server's answer to a write until its effect shows: an endpoint change in the "
    "size of the nat table, or in what nftables tells of its chain, asked every millisecond; all "
    "else in a connection to a Service, tried every 5 ms; a burst from its first write. CPU is "
    "user and system time of the process tree, ended children included, until it is calm "
    f"again; memory is its resident set, sampled every {SAMPLE_PAUSE_SECONDS * 1e3:.0f} ms; table "
    "replacements and the lock are the kernel's trace events. Figures are medians, those in "
    "brackets the ratio to kube-proxy in iptables mode; cold starts take turns, and are judged by "
    "the median of the turns' ratios. Each node runs about 100 of the endpoints."
)


def markdown(
    sizes: Iterable[SizeResult], judgements: Sequence[Judgement], machine: Mapping[str, str]
) -> str:
    """The report that people read."""
    return "\n".join(
        (
            "# Side by side with kube-proxy, from the same API server",
            "",
            ", ".join(f"{name} {value}" for name, value in machine.items()),
            "",
            _EXPLANATION,
            "",
            "## What is promised",
            "",
            *table(("size", "promise", "limit", "measured", "verdict"), map(_judged, judgements)),
            *(line for size in sizes for line in _section(size)),
            "",
        )
    )


def as_json(
    sizes: Iterable[SizeResult], judgements: Iterable[Judgement], machine: Mapping[str, str]
) -> str:
    """The report for programs, with every sample, in seconds and bytes."""
    content = {
        "machine": dict(machine),
        "sizes": [
            {
                "shape": asdict(size.shape),
                "contenders": {
                    contender.value: _json_result(result)
                    for contender, result in size.results.items()
                },
                "left_out": {
                    contender.value: reason for contender, reason in size.left_out.items()
                },
            }
            for size in sizes
        ],
        "promises": [
            {**asdict(judgement), "verdict": judgement.verdict.value} for judgement in judgements
        ],
    }
    return json.dumps(content, indent=2) + "\n"


def _json_result(result: ContenderResult) -> dict[str, object]:
    return {
        "costs": {case.name.lower(): asdict(cost) for case, cost in result.costs.items()},
        "sizes": result.sizes and asdict(result.sizes),
        "floors": result.floors and asdict(result.floors),
        "latencies": {way.name.lower(): asdict(one) for way, one in result.latencies.items()},
    }


def _section(size: SizeResult) -> Iterator[str]:
    shape = size.shape
    yield ""
    yield f"## {shape.services:,} services x {shape.endpoints} endpoints"
    yield ""
    header = ("", "unit", *(contender.value for contender in size.results))
    lines = [_cells(row, size.results) for row in ROWS]
    # A size that only connections are measured at has no more to tell.
    yield from table(header, [cells for cells in lines if any(cells[2:])])
    for reason in size.left_out.values():
        yield ""
        yield f"Left out: {reason}."


def _cells(row: Row, results: Mapping[Contender, ContenderResult]) -> tuple[str, ...]:
    peer = row.reading(results[_PEER]) if _PEER in results else None
    readings = {contender: row.reading(result) for contender, result in results.items()}
    return (
        row.what,
        row.unit,
        *(_cell(value, None if one is _PEER else peer) for one, value in readings.items()),
    )


def _cell(value: float | None, peer: float | None) -> str:
    if value is None:
        return ""
    return f"{_number(value)} ({value / peer:.2f})" if peer else _number(value)


def _judged(judgement: Judgement) -> tuple[str, ...]:
    measured = judgement.measured
    return (
        judgement.where,
        judgement.promise,
        f"{judgement.limit:g}",
        "not measured" if measured is None else _number(measured),
        judgement.verdict.value,
    )


def _number(value: float) -> str:
    """Three digits, and all of them before the point."""
    if value >= 100:  # noqa: PLR2004 - three digits
        return f"{value:,.0f}"
    return f"{value:.3g}"
