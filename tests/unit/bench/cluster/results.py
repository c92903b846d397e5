# SPDX-License-Identifier: Apache-2.0
"""Made-up results, of which a test says only what it is about."""

from __future__ import annotations

from bench.cluster.contenders import Contender
from bench.cluster.costs import Case, ContenderResult, Cost, Latency, SizeResult, Way
from bench.cluster.kernel_view import TableSizes
from bench.objects import Shape

MEBIBYTE = 1 << 20


def cost(wall: float = 1.0, cpu: float = 1.0, peak: int = 100 * MEBIBYTE) -> Cost:
    """What was done once, with a replacement and a hold of a tenth of it."""
    return Cost((wall,), cpu, peak, (wall / 10,), (wall / 10,))


def result(
    contender: Contender,
    *,
    costs: dict[Case, Cost] | None = None,
    latencies: dict[Way, Latency] | None = None,
) -> ContenderResult:
    """A contender whose cases cost a second each, and its packets 40 and 50 µs."""
    return ContenderResult(
        contender,
        {case: cost() for case in Case} | (costs or {}),
        TableSizes(300, 3 * MEBIBYTE, 30, MEBIBYTE),
        {way: Latency(40e-6, 50e-6) for way in Way} | (latencies or {}),
    )


def size(shape: Shape, *results: ContenderResult) -> SizeResult:
    """These results at one size."""
    return SizeResult(shape, {one.contender: one for one in results})
