# SPDX-License-Identifier: Apache-2.0
"""The work that contenders do, each case from a write to the API server to its effect on the node.

An effect is seen in one of two ways: of a changed endpoint, by the size of the nat table (for
nftables, by what the kernel tells of the Service's chain), asked a thousand times a second; of all
else, by connecting to a Service from a pod. Neither asks the contender anything.
"""

from __future__ import annotations

from collections.abc import Iterator
from time import monotonic
from typing import Final

from bench.cluster.api import Api
from bench.cluster.contenders import Contender
from bench.cluster.costs import Cost
from bench.cluster.meter import Meter
from bench.cluster.probing import (
    CANARY,
    CANARY_SLICE,
    EMPTY_CANARY_SLICE,
    canary_answers,
)
from bench.cluster.site import Machines
from bench.errors import BenchError
from bench.objects import Cluster, without_first_endpoint
from rules.model import EndpointSlice

BURST: Final = 200

_LOOK_PAUSE_SECONDS: Final = 0.001
_CONNECT_PAUSE_SECONDS: Final = 0.005
_REST_SECONDS: Final = 3.0
"""Longer than any of the programs lets pass between two syncs of its own accord."""


class Cases:
    """All cases, for one contender on one node. The canary is there before each and after it."""

    def __init__(
        self, contender: Contender, cluster: Cluster, api: Api, machines: Machines, meter: Meter
    ) -> None:
        self._view = contender.view
        self._cluster = cluster
        self._api = api
        self._machines = machines
        self._meter = meter

    def cold_start(self) -> Cost:
        """Start on a node without rules, until the canary answers; all VIPs must be there then.

        Raises:
            BenchError: VIPs are missing.
        """
        started = monotonic()
        with self._meter.starting() as run:
            run.walls.append(self._until_canary(answers=True, since=started))
            self._require_all_vips()
        return run.known_cost()

    def changes(self, count: int) -> Cost:
        """Take an endpoint away and give it back, for one plain Service after the other."""
        with self._meter.working() as run:
            for changed in changes(self._cluster, count):
                wall = self._change(changed)
                run.walls.append(wall)
                self._rest_after(wall)
        return run.known_cost()

    def delete_and_add(self) -> tuple[Cost, Cost]:
        """Delete the canary and its slice, then create both again: costs of adding, of deleting."""
        with self._meter.working() as deletion:
            self._api.delete_service(CANARY.key)
            since = monotonic()
            self._api.delete_slice(CANARY_SLICE.key)
            deletion.walls.append(self._until_canary(answers=False, since=since))
        self._rest_after(deletion.walls[0])
        with self._meter.working() as addition:
            since = monotonic()
            self._api.create(CANARY, CANARY_SLICE)
            addition.walls.append(self._until_canary(answers=True, since=since))
        self._rest_after(addition.walls[0])
        return addition.known_cost(), deletion.known_cost()

    def burst(self) -> Cost:
        """Change many slices as fast as can be; the last write lets the canary answer."""
        self._take_endpoint_from_canary()
        burst, undo = burst_changes(self._cluster, BURST - 1)
        with self._meter.working() as run:
            since = monotonic()
            self._api.patch_slices(burst)
            self._api.patch_slice(CANARY_SLICE)
            run.walls.append(self._until_canary(answers=True, since=since))
        self._api.patch_slices(undo)
        self._rest_after(run.walls[0])
        return run.known_cost()

    def restart(self) -> Cost:
        """End it, let the canary get its endpoint meanwhile, and start it until that answers."""
        self._take_endpoint_from_canary()
        self._meter.stop()
        self._api.patch_slice(CANARY_SLICE)
        started = monotonic()
        with self._meter.starting() as run:
            run.walls.append(self._until_canary(answers=True, since=started))
        return run.known_cost()

    def _change(self, changed: EndpointSlice) -> float:
        """Seconds from the answer to the write until the rules are others."""
        service = changed.service
        with self._machines.node.entered(), self._view.watching(service) as is_changed:
            self._api.patch_slice(changed)
            return self._meter.seconds_until(
                f"the rules for {service} change",
                is_changed,
                since=monotonic(),
                pause=_LOOK_PAUSE_SECONDS,
            )

    def _take_endpoint_from_canary(self) -> None:
        self._api.patch_slice(EMPTY_CANARY_SLICE)
        self._rest_after(self._until_canary(answers=False, since=monotonic()))

    def _rest_after(self, seconds: float) -> None:
        # What comes after the effect may take as long as what came before it.
        self._meter.rest(_REST_SECONDS + seconds)

    def _until_canary(self, *, answers: bool, since: float) -> float:
        return self._meter.seconds_until(
            f"the canary {'answers' if answers else 'answers no more'}",
            lambda: canary_answers(self._machines.client) is answers,
            since=since,
            pause=_CONNECT_PAUSE_SECONDS,
        )

    def _require_all_vips(self) -> None:
        wanted = frozenset(
            address
            for service in self._cluster.services
            for address in (*service.cluster_ips, *service.ingress_ips)
        )
        missing = self._view.missing_vips(self._machines.node, wanted)
        if missing:
            raise BenchError(f"{len(missing)} of {len(wanted)} VIPs have no rule: {min(missing)}")


def changes(cluster: Cluster, count: int) -> Iterator[EndpointSlice]:
    """An endpoint goes and comes back, for Services from all parts of the cluster."""
    positions = _positions(cluster)
    services = (count + 1) // 2
    for number in range(services):
        whole = cluster.slices[positions[(2 * number + 1) * len(positions) // (2 * services)]]
        yield without_first_endpoint(whole)
        yield whole


def burst_changes(cluster: Cluster, count: int) -> tuple[list[EndpointSlice], list[EndpointSlice]]:
    """Changes that take an endpoint away, or give back what one before took, and the undoing."""
    slices = [cluster.slices[position] for position in _positions(cluster)]
    burst = []
    for number in range(count):
        whole = slices[number % len(slices)]
        goes = number // len(slices) % 2 == 0
        burst.append(without_first_endpoint(whole) if goes else whole)
    return burst, slices[:count]


def put_back(cluster: Cluster, api: Api, count: int) -> None:
    """Make what a case left that broke off what it was: ``count`` single changes, and the canary.

    For the next contender the same writes would else change nothing.
    """
    *_, undo = burst_changes(cluster, BURST - 1)
    api.patch_slices([*list(changes(cluster, count))[1::2], *undo])
    api.apply(CANARY, CANARY_SLICE)


def _positions(cluster: Cluster) -> tuple[int, ...]:
    """Plain Services whose first endpoint is on another node."""
    return tuple(
        position
        for position in cluster.plain_positions()
        if cluster.slices[position].endpoints[0].node_name != cluster.node.name
    )
