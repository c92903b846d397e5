# SPDX-License-Identifier: Apache-2.0
"""Connections through the rules of more Services than an API server can soon be filled with.

No contender runs: the rules of both layouts are built and loaded as the agent does it. The classic
layout looks for a VIP as kube-proxy does in iptables mode, one rule after the other.
"""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from typing import Final

from bench.agent import Agent, warm_up
from bench.cluster.contenders import Contender
from bench.cluster.costs import ContenderResult
from bench.cluster.kernel_view import LEGACY
from bench.cluster.paths import measure_ways
from bench.cluster.site import fresh_node
from bench.objects import Cluster, Shape, make_cluster
from bench.place import Place
from lab import Lab
from lab.node import add_local_net

_IS_LARGE: Final = {Contender.DATAPLANE: True, Contender.DATAPLANE_CLASSIC: False}


def measure_loaded(
    cluster: Cluster, contenders: Iterable[Contender]
) -> dict[Contender, ContenderResult]:
    """Connections for those of ``contenders`` whose rules can be loaded without them."""
    return {
        contender: _measure(cluster, contender)
        for contender in contenders
        if contender in _IS_LARGE
    }


def _measure(cluster: Cluster, contender: Contender) -> ContenderResult:
    shape = Shape(len(cluster.services), len(cluster.slices[0].endpoints))
    with Lab() as lab:
        (switch,) = lab.add_hosts("control")
        add_local_net(switch)
        with fresh_node(switch) as machines:
            # Alone, so that its memory goes with it.
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
                place = Place.of(machines.node)
                process.submit(_load, shape, place, is_large=_IS_LARGE[contender]).result()
            with machines.node.entered():
                sizes = LEGACY.sizes() if LEGACY.sizes else None
            latencies = measure_ways(contender, machines, cluster)
    return ContenderResult(contender, {}, sizes, latencies)


def _load(shape: Shape, place: Place, *, is_large: bool) -> None:
    with place.entered():
        warm_up()
        Agent(replace(make_cluster(shape), is_large=is_large)).load()
