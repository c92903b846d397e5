# SPDX-License-Identifier: Apache-2.0
"""What the agent promises, mostly as ratios to kube-proxy in iptables mode in the same run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final, NamedTuple

from bench.cluster.contenders import Contender
from bench.cluster.costs import Case, ContenderResult, SizeResult, Way
from bench.cluster.sizes import HUGE, PATHS
from bench.objects import Shape
from bench.results import Verdict

MEBIBYTE: Final = 1 << 20

START_RATIO: Final = 1.5
PEAK_MEBIBYTES: Final = 130.0
IDLE_SECONDS_A_MINUTE: Final = 0.1
IDLE_RATIO: Final = 3.0
FIRST_PACKET_RATIO: Final = 1.1
FIRST_PACKET_RATIO_TO_NFTABLES: Final = 1.2
PLAIN_POD_RATIO: Final = 1.2
RESTART_RATIO: Final = 0.3
HUGE_SECONDS: Final = 2.0

_SMALL: Final = Shape(100, 10)
_USUAL: Final = Shape(1_000, 10)
_LARGE: Final = Shape(10_000, 10)
_VIPS: Final = (Way.FIRST, Way.MIDDLE, Way.LAST)
_LEAST_IDLE_SECONDS: Final = 0.001
"""Less cannot be told from nothing."""


class Reach(NamedTuple):
    """Ratios to kube-proxy that are promised at one size."""

    cold_start: float
    change: float
    cpu_a_change: float
    peak_memory: float


REACH: Final = {
    Shape(1_000, 10): Reach(1.0, 0.7, 0.5, 1.0),
    Shape(5_000, 10): Reach(0.5, 0.35, 0.3, 0.8),
    Shape(10_000, 10): Reach(0.4, 0.3, 0.25, 0.7),
}


@dataclass(frozen=True, slots=True)
class Judgement:
    """One promise beside what was measured."""

    where: str
    promise: str
    limit: float
    measured: float | None
    """None if it was not."""

    @property
    def verdict(self) -> Verdict:
        """Whether it is kept."""
        if self.measured is None:
            return Verdict.NONE
        return Verdict.MET if self.measured <= self.limit else Verdict.MISSED


def judge(sizes: Iterable[SizeResult]) -> Sequence[Judgement]:
    """All promises about what was measured."""
    by_shape = {size.shape: size.results for size in sizes}
    return tuple(
        judgement
        for shape, results in by_shape.items()
        for judgement in _of_size(shape, results, by_shape)
    )


_Results = dict[Contender, ContenderResult]
_Reading = Callable[[ContenderResult], float]


def _of_size(
    shape: Shape, results: _Results, by_shape: dict[Shape, _Results]
) -> Iterator[Judgement]:
    where = str(shape)
    if shape in REACH:
        reach = REACH[shape]
        yield _start(where, "cold start", reach.cold_start, results)
        for promise, limit, reading in (
            ("one endpoint change, p50", reach.change, _wall(Case.CHANGE)),
            ("CPU a change", reach.cpu_a_change, _cpu(Case.CHANGE)),
            ("peak memory", reach.peak_memory, _peak),
        ):
            yield _to_kube_proxy(where, promise, limit, results, reading)
    if shape == _USUAL:
        yield from _replacing_kube_proxy(where, results)
    if shape == _LARGE:
        yield _to_kube_proxy(where, "restart", RESTART_RATIO, results, _wall(Case.RESTART))
        yield _plain_pod(where, results)
    if shape in (_LARGE, PATHS):
        yield from _first_packets(where, results, by_shape)
    if shape == HUGE:
        measured = _read(results, Contender.DATAPLANE, _wall(Case.CHANGE))
        yield Judgement(where, "one endpoint change, s", HUGE_SECONDS, measured)
    if shape not in (HUGE, PATHS):
        yield _to_kube_proxy(where, "idle CPU", IDLE_RATIO, results, _idle)


def _replacing_kube_proxy(where: str, results: _Results) -> Iterator[Judgement]:
    yield _start(where, "start to first commit", START_RATIO, results)
    ours = Contender.DATAPLANE
    peak = _read(results, ours, lambda result: result.peak_rss / MEBIBYTE)
    yield Judgement(where, "peak memory, MiB", PEAK_MEBIBYTES, peak)
    idle = _read(results, ours, _idle)
    yield Judgement(where, "idle CPU, s a minute", IDLE_SECONDS_A_MINUTE, idle)


def _plain_pod(where: str, results: _Results) -> Judgement:
    def ratio(result: ContenderResult) -> float:
        return result.latencies[Way.POD].tcp_connect / result.latencies[Way.NO_RULES].tcp_connect

    measured = _read(results, Contender.DATAPLANE, ratio)
    return Judgement(where, "connect to a pod, to that without rules", PLAIN_POD_RATIO, measured)


def _first_packets(
    where: str, results: _Results, by_shape: dict[Shape, _Results]
) -> Iterator[Judgement]:
    """The slowest of three VIPs, to the same with few services, and to that with nftables."""
    nftables = _nearest_nftables(by_shape)
    for kind, reading in (("TCP connect", _slowest_tcp), ("UDP answer", _slowest_udp)):
        measured = _read(results, Contender.DATAPLANE, reading)
        small = _read(by_shape.get(_SMALL, {}), Contender.DATAPLANE, reading)
        promise = f"{kind}, slowest VIP, to {_SMALL}"
        yield Judgement(where, promise, FIRST_PACKET_RATIO, _ratio(measured, small))
        peer = _read(nftables, Contender.KUBE_PROXY_NFTABLES, reading)
        promise = f"{kind}, slowest VIP, to nftables"
        yield Judgement(where, promise, FIRST_PACKET_RATIO_TO_NFTABLES, _ratio(measured, peer))


def _nearest_nftables(by_shape: dict[Shape, _Results]) -> _Results:
    """Those at the largest size that nftables was measured at: its maps do not care for size."""
    measured = [shape for shape in by_shape if Contender.KUBE_PROXY_NFTABLES in by_shape[shape]]
    largest = max(measured, key=lambda shape: shape.services, default=None)
    return by_shape[largest] if largest else {}


def _to_kube_proxy(
    where: str, promise: str, limit: float, results: _Results, reading: _Reading
) -> Judgement:
    ours, peer = (
        _read(results, contender, reading)
        for contender in (Contender.DATAPLANE, Contender.KUBE_PROXY)
    )
    return Judgement(where, f"{promise}, to kube-proxy", limit, _ratio(ours, peer))


def _start(where: str, promise: str, limit: float, results: _Results) -> Judgement:
    """The median of the turns' ratios: both may start slowly for a while, and quickly later."""
    ours, peer = (
        results[contender].costs[Case.COLD_START].walls if contender in results else ()
        for contender in (Contender.DATAPLANE, Contender.KUBE_PROXY)
    )
    ratios = [one / other for one, other in zip(ours, peer, strict=False)]
    return Judgement(where, f"{promise}, to kube-proxy", limit, median(ratios) if ratios else None)


def _read(results: _Results, contender: Contender, reading: _Reading) -> float | None:
    result = results.get(contender)
    return None if result is None else reading(result)


def _ratio(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one / other


def _wall(case: Case) -> _Reading:
    return lambda result: result.costs[case].wall


def _cpu(case: Case) -> _Reading:
    return lambda result: result.costs[case].cpu


def _peak(result: ContenderResult) -> float:
    return float(result.peak_rss)


def _idle(result: ContenderResult) -> float:
    cost = result.costs[Case.IDLE]
    return max(cost.cpu / cost.wall * 60, _LEAST_IDLE_SECONDS)


# As ratios to packets that meet no rules, which took turns with them: two sizes or contenders are
# measured minutes apart, and the machine may be faster or slower by then.
def _slowest_tcp(result: ContenderResult) -> float:
    ways = result.latencies
    return max(ways[way].tcp_connect for way in _VIPS) / ways[Way.NO_RULES].tcp_connect


def _slowest_udp(result: ContenderResult) -> float:
    ways = result.latencies
    return max(ways[way].udp_answer for way in _VIPS) / ways[Way.NO_RULES].udp_answer
