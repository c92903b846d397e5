# SPDX-License-Identifier: Apache-2.0
"""The report, for people and for programs, and the points of its plots."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from bench.cluster.contenders import Contender
from bench.cluster.costs import Case, ContenderResult
from bench.cluster.floors import Floors
from bench.cluster.limits import judge
from bench.cluster.plots import draw, points
from bench.cluster.report import as_json, markdown
from bench.cluster.rows import CHANGE
from bench.objects import Shape
from tests.unit.bench.cluster.results import cost, result, size

_OURS = result(Contender.DATAPLANE, costs={Case.CHANGE: cost(wall=0.5)})
_PEER = result(Contender.KUBE_PROXY)
_SIZES = [size(Shape(1_000, 10), _OURS, _PEER)]
_MACHINE = {"Linux": "6.1", "processors": "2"}


def _cells(text: str, first: str) -> list[str]:
    """The cells behind the first of the line that begins with it."""
    (line,) = [line for line in text.splitlines() if line.startswith(f"| {first} ")]
    return [cell.strip() for cell in line.strip("|").split("|")][1:]


def test_markdown_has_ratios_beside_figures() -> None:
    """Each contender but kube-proxy itself is shown with its ratio to kube-proxy."""
    text = markdown(_SIZES, judge(_SIZES), _MACHINE)
    assert _cells(text, "one endpoint change: p50") == ["ms", "500 (0.50)", "1,000"]


def test_markdown_begins_with_what_is_promised() -> None:
    """Each promise stands beside what was measured, and says whether it is kept."""
    text = markdown(_SIZES, judge(_SIZES), _MACHINE)
    assert "| 1000 x 10 | one endpoint change, p50, to kube-proxy | 0.7   | 0.5" in text
    assert text.index("one endpoint change, p50, to kube-proxy") < text.index("## 1,000 services")


def test_rows_that_nobody_was_measured_for_are_left_out() -> None:
    """A size at which only connections are measured shows these and tables."""
    bare = ContenderResult(Contender.DATAPLANE, {}, _OURS.sizes, _OURS.latencies)
    text = markdown([size(Shape(30_000, 2), bare)], (), _MACHINE)
    assert _cells(text, "TCP connect: last VIP") == ["µs", "40"]
    assert "cold start" not in text.partition("## 30,000")[2]


def test_floors_stand_below_what_they_are_part_of() -> None:
    """Of our agent only: seconds of a start, milliseconds of two readings a minute."""
    ours = replace(_OURS, floors=Floors(loading=0.3, reading=0.01))
    text = markdown([size(Shape(1_000, 10), ours, _PEER)], (), _MACHINE)
    assert _cells(text, "of any start: loading Python's modules") == ["s", "0.3", ""]
    assert _cells(text, "of it: reading all tables once each sync period") == ["ms", "20", ""]


def test_who_is_left_out_is_named() -> None:
    """A peer without a column has a line that says why, and programs find it too."""
    sizes = [replace(_SIZES[0], left_out={Contender.KUBE_PROXY_NFTABLES: "nft: too late"})]
    assert "\nLeft out: nft: too late.\n" in markdown(sizes, (), _MACHINE)
    (told,) = json.loads(as_json(sizes, (), _MACHINE))["sizes"]
    assert told["left_out"] == {"kube-proxy-nftables": "nft: too late"}


def test_json_keeps_every_sample() -> None:
    """Programs find each time that something was done, and the verdicts."""
    report = json.loads(as_json(_SIZES, judge(_SIZES), _MACHINE))
    ours = report["sizes"][0]["contenders"]["dataplane"]
    assert ours["costs"]["change"]["walls"] == [0.5]
    assert ours["latencies"]["last"] == {"tcp_connect": 40e-6, "udp_answer": 50e-6}
    assert {promise["verdict"] for promise in report["promises"]} == {"met", "missed"}


def test_points_are_in_order_of_size() -> None:
    """A line of a plot goes from small clusters to large ones, whatever was measured first."""
    sizes = [size(Shape(5_000, 10), _OURS), *_SIZES]
    assert points(CHANGE, sizes, Contender.DATAPLANE) == [(1_000, 500.0), (5_000, 500.0)]
    assert points(CHANGE, sizes, Contender.KUBE_PROXY) == [(1_000, 1_000.0)]


def test_plots_are_one_picture(tmp_path: Path) -> None:
    """It names who was measured and nobody else."""
    file = tmp_path / "cluster.svg"
    draw(_SIZES, file)
    picture = file.read_text()
    assert "<!-- kube-proxy -->" in picture
    assert "<!-- kube-proxy-nftables -->" not in picture


def test_a_picture_of_nothing_comparable(tmp_path: Path) -> None:
    """Clusters of another shape leave the plots empty, without a warning."""
    file = tmp_path / "cluster.svg"
    draw([size(Shape(1_000, 100), _OURS)], file)
    assert "<!-- dataplane -->" not in file.read_text()
