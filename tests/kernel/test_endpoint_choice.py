# SPDX-License-Identifier: Apache-2.0
"""Which endpoint a connection goes to: spread, affinity, readiness, topology."""

from __future__ import annotations

import pytest

from lab import NodeLab, Refused, probe, wait_until
from lab.plan import CLIENT, OTHER_CLIENT
from rules.affinity import AffinityBackend
from tests.address_plan import OTHER_NODE, OTHER_ZONE, THIS_NODE, ZONE, AddressPlan
from tests.builders import local, remote, state
from tests.kernel.node import KernelNode, in_both_layouts
from tests.kernel.traffic import (
    LOCAL,
    OTHER_LOCAL,
    OTHER_REMOTE,
    REMOTE,
    answer,
    answers_by_pod,
    of,
    tcp,
)

pytestmark = in_both_layouts


_MANY = 400
_SOME = 12
"""So many answers by one of four pods are no coincidence: the odds are 1 to 4 million."""


def _all_pods(plan: AddressPlan) -> tuple[str, ...]:
    return plan.local_pod, plan.other_local_pod, plan.remote_pod, plan.other_remote_pod


def test_connections_spread_evenly(node: KernelNode, machines: NodeLab, plan: AddressPlan) -> None:
    """Each of four endpoints gets its quarter, give or take chance (5 standard deviations)."""
    node.program(plan, state(plan, *(local(address) for address in _all_pods(plan))))

    shares = answers_by_pod(_MANY, machines.client, tcp(plan.cluster_ip))

    assert set(shares) == {LOCAL.name, OTHER_LOCAL.name, REMOTE.name, OTHER_REMOTE.name}
    assert min(shares.values()) >= 57
    assert max(shares.values()) <= 143


@pytest.mark.parametrize("backend", AffinityBackend)
def test_affinity_keeps_a_client_at_one_endpoint(
    node: KernelNode, machines: NodeLab, plan: AddressPlan, backend: AffinityBackend
) -> None:
    """With ClientIP affinity each client sticks to one endpoint, also while others are added."""
    pods = _all_pods(plan)
    node.program(
        plan, state(plan, *map(local, pods[:3]), affinity_seconds=60), affinity_backend=backend
    )
    target = tcp(plan.cluster_ip)
    clients = [of(plan, address) for address in (CLIENT, OTHER_CLIENT)]
    chosen = [answer(machines.client, target, source=source).by for source in clients]

    node.program(
        plan, state(plan, *map(local, pods), affinity_seconds=60), affinity_backend=backend
    )

    for source, pod in zip(clients, chosen, strict=True):
        assert answers_by_pod(_SOME, machines.client, target, source=source) == {pod: _SOME}


@pytest.mark.parametrize("backend", AffinityBackend)
def test_affinity_ends_with_the_endpoint(
    node: KernelNode, machines: NodeLab, plan: AddressPlan, backend: AffinityBackend
) -> None:
    """A client whose endpoint is gone is answered by another, and sticks to that."""
    pods = {LOCAL.name: plan.local_pod, REMOTE.name: plan.remote_pod}
    node.program(
        plan, state(plan, *map(local, pods.values()), affinity_seconds=60), affinity_backend=backend
    )
    target = tcp(plan.cluster_ip)
    gone = answer(machines.client, target).by
    (staying,) = pods.keys() - {gone}

    node.program(
        plan, state(plan, local(pods[staying]), affinity_seconds=60), affinity_backend=backend
    )

    assert answers_by_pod(_SOME, machines.client, target) == {staying: _SOME}


@pytest.mark.parametrize("backend", AffinityBackend)
def test_affinity_expires(
    node: KernelNode, machines: NodeLab, plan: AddressPlan, backend: AffinityBackend
) -> None:
    """A client that comes back after the time-out may meet another endpoint."""
    node.program(
        plan,
        state(plan, *map(local, _all_pods(plan)), affinity_seconds=1),
        affinity_backend=backend,
    )
    target = tcp(plan.cluster_ip)
    first = answer(machines.client, target).by

    # Each question is a new beginning of the second, so the pause must be longer.
    wait_until(
        "another endpoint answers",
        lambda: answer(machines.client, target).by != first,
        seconds=30,
        pause_seconds=1.1,
    )


def test_unready_endpoints_get_nothing(
    node: KernelNode, machines: NodeLab, plan: AddressPlan
) -> None:
    """Only the ready one of two endpoints answers; when it is unready too, nobody does."""
    unready = local(plan.local_pod, ready=False)
    node.program(plan, state(plan, unready, remote(plan.remote_pod)))
    assert answers_by_pod(_SOME, machines.client, tcp(plan.cluster_ip)) == {REMOTE.name: _SOME}

    node.program(plan, state(plan, unready, remote(plan.remote_pod, ready=False)))

    assert probe(machines.client, tcp(plan.cluster_ip)) == Refused()


def test_terminating_endpoints_serve_when_nothing_is_ready(
    node: KernelNode, machines: NodeLab, plan: AddressPlan
) -> None:
    """An endpoint that ends but still serves is used only as long as none is ready."""
    ending = local(plan.local_pod, ready=False, serving=True, terminating=True)
    finished = local(plan.other_local_pod, ready=False, serving=False, terminating=True)
    node.program(plan, state(plan, ending, finished))
    assert answers_by_pod(_SOME, machines.client, tcp(plan.cluster_ip)) == {LOCAL.name: _SOME}

    node.program(plan, state(plan, ending, finished, remote(plan.remote_pod)))

    assert answers_by_pod(_SOME, machines.client, tcp(plan.cluster_ip)) == {REMOTE.name: _SOME}


def test_zone_hints_keep_traffic_in_the_zone(
    node: KernelNode, machines: NodeLab, plan: AddressPlan
) -> None:
    """If all endpoints carry zone hints, those meant for the node's zone answer."""
    near = remote(plan.remote_pod, zone_hints=(ZONE,))
    far = [remote(address, zone_hints=(OTHER_ZONE,)) for address in _all_pods(plan)[:2]]
    node.program(plan, state(plan, near, *far))

    assert answers_by_pod(_SOME, machines.client, tcp(plan.cluster_ip)) == {REMOTE.name: _SOME}


def test_node_hints_keep_traffic_on_the_node(
    node: KernelNode, machines: NodeLab, plan: AddressPlan
) -> None:
    """If all endpoints carry node hints, those meant for this node answer."""
    here = local(plan.local_pod, node_hints=(THIS_NODE,))
    there = [remote(address, node_hints=(OTHER_NODE,)) for address in _all_pods(plan)[2:]]
    node.program(plan, state(plan, here, *there))

    assert answers_by_pod(_SOME, machines.client, tcp(plan.cluster_ip)) == {LOCAL.name: _SOME}
