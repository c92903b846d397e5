# SPDX-License-Identifier: Apache-2.0
"""The comparison with kube-proxy runs from its first machine to its last figure."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.cluster.contenders import Contender
from bench.cluster.costs import Case, Way
from bench.cluster.session import Plan
from bench.cluster.sizes import Size
from bench.cluster.suite import Suite
from bench.cluster.tracing import tracing
from bench.objects import Shape

_CONTENDERS = (Contender.DATAPLANE, Contender.KUBE_PROXY)


@pytest.mark.timeout(300)
def test_both_programs_do_all_that_is_measured(programs: Path) -> None:
    """Each case of each program has its time, and a table that is larger than an empty one."""
    plan = Plan(rounds=1, idle_seconds=1.0, changes=2)
    with tracing() as trace:
        suite = Suite(_CONTENDERS, plan, programs, trace, lambda _: None)
        first, measured = suite.measure(Size(Shape(20, 2)))

    assert tuple(first.results) == _CONTENDERS[:1]
    assert tuple(measured.results) == _CONTENDERS
    for result in measured.results.values():
        assert set(result.costs) == set(Case)
        assert all(wall > 0 for cost in result.costs.values() for wall in cost.walls)
        assert len(result.costs[Case.CHANGE].walls) == plan.changes
        assert result.costs[Case.COLD_START].cpu > 0
        assert result.peak_rss > 0
        assert result.sizes
        assert result.sizes.nat_entries > 20 * 2
        assert set(result.latencies) == set(Way)


@pytest.mark.timeout(300)
def test_a_peer_that_does_not_start_is_left_out(programs: Path, tmp_path: Path) -> None:
    """Our agent is measured without it, and the result says who is missing."""
    for program in programs.iterdir():
        (tmp_path / program.name).symlink_to(program)
    (tmp_path / "kube-proxy").unlink()
    (tmp_path / "kube-proxy").symlink_to("/bin/false")
    plan = Plan(rounds=1, idle_seconds=1.0, changes=2)
    contenders = (Contender.KUBE_PROXY, Contender.DATAPLANE)

    suite = Suite(contenders, plan, tmp_path, None, lambda _: None)
    (measured,) = suite.measure(Size(Shape(20, 2)))

    assert tuple(measured.results) == (Contender.DATAPLANE,)
    assert set(measured.results[Contender.DATAPLANE].costs) == set(Case)
    assert set(measured.left_out) == {Contender.KUBE_PROXY}
