# SPDX-License-Identifier: Apache-2.0
"""Ratios, verdicts and limits."""

from __future__ import annotations

import pytest

from bench.clock import Sample
from bench.limits import first_load_ratio
from bench.results import Row, Series, Unit, Verdict


def series(*seconds: float, cpu: float = 1.0) -> Series:
    """Samples of these times by the clock on the wall."""
    return Series(tuple(Sample(wall, cpu) for wall in seconds))


def test_ratios_compare_like_with_like() -> None:
    """Medians go with medians, minima with minima, processor time with processor time."""
    row = Row("change", series(1.0, 3.0, 8.0, cpu=2.0), series(0.5, 4.0, 5.0, cpu=8.0))
    assert row.ratio == pytest.approx(0.75)
    assert row.ratio_of_minima == pytest.approx(2.0)
    assert row.ratio_of_cpu == pytest.approx(0.25)


def test_without_a_peer_there_is_no_ratio() -> None:
    """A row of its own has a value only."""
    row = Row("build", series(1.0))
    assert (row.ratio, row.ratio_of_minima, row.ratio_of_cpu) == (None, None, None)


@pytest.mark.parametrize(
    ("ours", "limit", "verdict"),
    [(0.8, 0.8, Verdict.MET), (0.81, 0.8, Verdict.MISSED), (9.0, None, Verdict.NONE)],
)
def test_with_a_peer_the_ratio_is_judged(
    ours: float, limit: float | None, verdict: Verdict
) -> None:
    """A limit that is just reached is met; without a limit there is no verdict."""
    assert Row("load", series(ours), series(1.0), limit).verdict is verdict


@pytest.mark.parametrize(("microseconds", "verdict"), [(5.9, Verdict.MET), (6.1, Verdict.MISSED)])
def test_without_a_peer_the_median_is_judged_in_its_unit(
    microseconds: float, verdict: Verdict
) -> None:
    """A limit of 6 means 6 microseconds, not seconds."""
    row = Row("encode", series(microseconds / 1e6), limit=6.0, unit=Unit.MICROSECONDS_A_RULE)
    assert row.verdict is verdict


@pytest.mark.parametrize(("services", "limit"), [(1_000, 1.0), (4_999, 1.0), (5_000, 0.8)])
def test_large_first_loads_have_a_stricter_limit(services: int, limit: float) -> None:
    """From 5,000 services on, a first load has to be quicker than the restore."""
    assert first_load_ratio(services) == limit
