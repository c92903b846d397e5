# SPDX-License-Identifier: Apache-2.0
"""What is promised, held against results."""

from __future__ import annotations

import pytest

from bench.cluster.contenders import Contender
from bench.cluster.costs import Case, Latency, SizeResult, Way, joined
from bench.cluster.limits import Judgement, judge
from bench.cluster.sizes import HUGE, PATHS
from bench.objects import Shape
from bench.results import Verdict
from tests.unit.bench.cluster.results import MEBIBYTE, cost, result, size

_USUAL = Shape(1_000, 10)
_LARGE = Shape(10_000, 10)
_OURS, _PEER, _NFTABLES = (
    Contender.DATAPLANE,
    Contender.KUBE_PROXY,
    Contender.KUBE_PROXY_NFTABLES,
)


def _of(judgements: tuple[Judgement, ...], promise: str) -> Judgement:
    (found,) = [one for one in judgements if one.promise == promise]
    return found


def _judged(*sizes: SizeResult) -> tuple[Judgement, ...]:
    return tuple(judge(sizes))


@pytest.mark.parametrize(("wall", "verdict"), [(0.7, Verdict.MET), (0.71, Verdict.MISSED)])
def test_a_change_is_judged_by_its_ratio_to_kube_proxy(wall: float, verdict: Verdict) -> None:
    """The limit itself is kept, and anything above it is not."""
    ours = result(_OURS, costs={Case.CHANGE: cost(wall=wall)})
    judged = _of(
        _judged(size(_USUAL, ours, result(_PEER))), "one endpoint change, p50, to kube-proxy"
    )
    assert judged.measured == pytest.approx(wall)
    assert judged.verdict is verdict


def test_starts_are_judged_turn_by_turn() -> None:
    """A machine that was slow in one turn was so for both: the medians alone would say 2."""
    walls = {_OURS: (1.0, 2.0, 6.0), _PEER: (1.0, 4.0, 1.0)}
    ours, peer = (
        result(one, costs={Case.COLD_START: joined([cost(wall=wall) for wall in walls[one]])})
        for one in (_OURS, _PEER)
    )
    judged = _of(_judged(size(_USUAL, ours, peer)), "cold start, to kube-proxy")
    assert judged.measured == pytest.approx(1.0)


def test_larger_clusters_promise_more() -> None:
    """The same ratio is kept at 1,000 Services and missed at 10,000."""
    ours = result(_OURS, costs={Case.COLD_START: cost(wall=0.9)})
    judgements = _judged(size(_USUAL, ours, result(_PEER)), size(_LARGE, ours, result(_PEER)))
    verdicts = [one.verdict for one in judgements if one.promise == "cold start, to kube-proxy"]
    assert verdicts == [Verdict.MET, Verdict.MISSED]


def test_peak_memory_is_the_highest_of_all_cases() -> None:
    """A restart that needs more than a cold start counts."""
    ours = result(_OURS, costs={Case.RESTART: cost(peak=131 * MEBIBYTE)})
    judged = _of(_judged(size(_USUAL, ours, result(_PEER))), "peak memory, MiB")
    assert judged.measured == pytest.approx(131)
    assert judged.verdict is Verdict.MISSED


def test_what_was_not_measured_has_no_verdict() -> None:
    """Without kube-proxy there is no ratio to it."""
    judged = _of(_judged(size(_USUAL, result(_OURS))), "CPU a change, to kube-proxy")
    assert judged.measured is None
    assert judged.verdict is Verdict.NONE


def test_no_idle_cpu_at_all_is_a_ratio_too() -> None:
    """What is measured as nothing is taken as the least that can be measured."""
    idle = {Case.IDLE: cost(wall=60.0, cpu=0.0)}
    sizes = size(_USUAL, result(_OURS, costs=idle), result(_PEER, costs=idle))
    assert _of(_judged(sizes), "idle CPU, to kube-proxy").measured == pytest.approx(1)


def test_the_slowest_vip_counts() -> None:
    """First packets are compared with few services, and with nftables at the same size."""
    slow = {Way.MIDDLE: Latency(60e-6, 50e-6)}
    judgements = _judged(
        size(Shape(100, 10), result(_OURS)),
        size(_LARGE, result(_OURS, latencies=slow), result(_NFTABLES, latencies={})),
    )
    small = _of(judgements, "TCP connect, slowest VIP, to 100 x 10")
    assert small.measured == pytest.approx(1.5)
    assert _of(judgements, "TCP connect, slowest VIP, to nftables").verdict is Verdict.MISSED
    assert _of(judgements, "UDP answer, slowest VIP, to nftables").verdict is Verdict.MET


def test_first_packets_are_compared_beside_those_without_rules() -> None:
    """A machine that is twice as slow for a while makes no first packet slower."""
    slow = {way: Latency(80e-6, 100e-6) for way in Way}
    judgements = _judged(
        size(Shape(100, 10), result(_OURS)), size(_LARGE, result(_OURS, latencies=slow))
    )
    small = _of(judgements, "TCP connect, slowest VIP, to 100 x 10")
    assert small.measured == pytest.approx(1)


def test_a_plain_pod_is_compared_with_a_node_without_rules() -> None:
    """Rules must not slow down what they are not about."""
    ours = result(_OURS, latencies={Way.NO_RULES: Latency(20e-6, 50e-6)})
    judged = _of(_judged(size(_LARGE, ours)), "connect to a pod, to that without rules")
    assert judged.measured == pytest.approx(2)


def test_the_huge_cluster_is_judged_by_seconds() -> None:
    """A sync of 212,400 endpoints has a limit of its own, whatever kube-proxy needs."""
    ours = result(_OURS, costs={Case.CHANGE: cost(wall=2.5)})
    (judged,) = _judged(size(HUGE, ours))
    assert (judged.limit, judged.verdict) == (2.0, Verdict.MISSED)


def test_connections_alone_are_judged_by_first_packets_only() -> None:
    """Where no contender ran there is nothing to say of its costs."""
    bare = size(PATHS, result(_OURS))
    assert {one.promise.partition(",")[0] for one in _judged(bare)} == {"TCP connect", "UDP answer"}
