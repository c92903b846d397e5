# SPDX-License-Identifier: Apache-2.0
"""The made-up cluster: its mix, its size, and that it can be programmed at all."""

from __future__ import annotations

from collections import Counter

from bench.objects import (
    MAX_ENDPOINTS,
    MAX_SERVICES,
    Cluster,
    Shape,
    make_cluster,
    without_first_endpoint,
)
from rules.build import ServiceBuilder
from rules.check import check_tables
from rules.compose import compose
from rules.model import ServiceType, TrafficPolicy
from rules.service import build_service


def test_the_mix_is_the_one_that_is_stated() -> None:
    """Of 100, 10 have a node port, 10 a load balancer, 5 each affinity, policy Local and UDP."""
    services = make_cluster(Shape(100, 1)).services
    assert Counter(service.type for service in services) == {
        ServiceType.CLUSTER_IP: 80,
        ServiceType.NODE_PORT: 10,
        ServiceType.LOAD_BALANCER: 10,
    }
    assert sum(service.affinity_seconds is not None for service in services) == 5
    assert sum(bool(service.source_ranges) for service in services) == 5
    local = [s for s in services if s.external_traffic_policy is TrafficPolicy.LOCAL]
    assert len(local) == 5
    assert all(service.health_check_node_port for service in local)
    assert sum(service.ports[0].protocol == "udp" for service in services) == 5


def test_equal_shapes_give_equal_clusters() -> None:
    """Processes that make the same cluster measure the same work."""
    assert make_cluster(Shape(40, 3)) == make_cluster(Shape(40, 3))


def test_no_address_or_port_stands_for_two_things() -> None:
    """Even the largest cluster has room for its addresses and ports."""
    services = make_cluster(Shape(MAX_SERVICES, 1)).services
    addresses = [
        address for service in services for address in (*service.cluster_ips, *service.ingress_ips)
    ]
    ports = [
        port
        for service in services
        for port in (service.ports[0].node_port, service.health_check_node_port)
        if port
    ]
    assert len(set(addresses)) == len(addresses)
    assert len(set(ports)) == len(ports)
    assert max(ports) < 32768


def test_pods_of_the_largest_service_are_distinct() -> None:
    """Each endpoint has an address of its own."""
    slices = make_cluster(Shape(20, MAX_ENDPOINTS)).slices
    addresses = [endpoint.address for one in slices for endpoint in one.endpoints]
    assert len(set(addresses)) == 20 * MAX_ENDPOINTS


def _local_endpoints(cluster: Cluster) -> list[int]:
    """How many endpoints each Service has on this node."""
    return [
        sum(endpoint.node_name == cluster.node.name for endpoint in one.endpoints)
        for one in cluster.slices
    ]


def test_in_a_small_cluster_each_service_has_a_local_endpoint() -> None:
    """Policy Local has something to choose in every Service."""
    assert _local_endpoints(make_cluster(Shape(100, 10))) == [1] * 100


def test_no_node_runs_more_pods_than_a_node_can() -> None:
    """However large the cluster is, this node has about a hundred of its endpoints."""
    for shape in (Shape(1_000, 10), Shape(1_000, 100)):
        assert sum(_local_endpoints(make_cluster(shape))) == 100


def test_its_rules_break_no_invariant() -> None:
    """The cluster's tables are sound and no Service is left out."""
    cluster = make_cluster(Shape(40, 10))
    built = ServiceBuilder(cluster.context).build(cluster.states())
    assert len(built) == 40
    check_tables(compose(built, cluster.context))


def test_plain_services_have_a_cluster_ip_only() -> None:
    """Changes are measured on the most common kind: one policy chain and its endpoint chains."""
    cluster = make_cluster(Shape(40, 4))
    states = list(cluster.states().values())
    positions = cluster.plain_positions()
    assert len(positions) == 28
    for position in positions:
        assert len(build_service(states[position], cluster.context).chains) == 1 + 4


def test_without_first_endpoint_leaves_the_others() -> None:
    """The changed slice has one usable endpoint less and nothing else changed."""
    before = make_cluster(Shape(20, 4)).slices[0]
    after = without_first_endpoint(before)
    assert not after.endpoints[0].ready
    assert not after.endpoints[0].serving
    assert after.endpoints[0].address == before.endpoints[0].address
    assert after.endpoints[1:] == before.endpoints[1:]
    assert after.key == before.key
