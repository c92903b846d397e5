# SPDX-License-Identifier: Apache-2.0
"""Health-check node ports follow each sync, in endpoints, addresses and Services."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from dataplane.reports.observation import SyncOutcome
from dataplane.schedule import Reason
from dataplane.serving.health_checks import ServiceHealthServers
from dataplane.serving.loop import ServingThread
from dataplane.serving.observer import HealthCheckObserver
from dataplane.state import Picture
from dataplane.sync import FamilyReport
from rules.build import build
from rules.ir import Family
from rules.model import ObjectKey, ServiceState, ServiceType, SliceEndpoint, TrafficPolicy
from rules.news import News
from tests.address_plan import IPV4
from tests.builders import WEB, context, local, node, remote, state
from tests.unit.dataplane.serving.support import (
    QUICK,
    ask,
    free_port,
    wait_until_closed,
    wait_until_listening,
)

Sync = Callable[..., None]


@pytest.fixture
def sync(thread: ServingThread) -> Sync:
    """Tell the observer of a sync that followed these Services, on one of our addresses."""
    servers = ServiceHealthServers(
        thread,
        is_proxy_healthy=lambda: True,
        on_unavailable=lambda key, error: pytest.fail(f"{key}: {error}"),
        timing=QUICK,
    )
    observer = HealthCheckObserver(servers)

    def tell(services: Mapping[ObjectKey, ServiceState], address: str = "127.0.0.1") -> None:
        here = context(IPV4, node_port_addresses=(address,), restrict_node_ports=True)
        observer.succeeded(
            SyncOutcome(
                Family.IPV4,
                Reason.CHANGE,
                0.01,
                Picture(services, node(IPV4)),
                here,
                FamilyReport({}, build(services, here)),
                changed_at=(),
                queue_seconds=0.0,
                news=News(),
            )
        )

    return tell


def _balanced(port: int, *endpoints: SliceEndpoint) -> dict[ObjectKey, ServiceState]:
    return {
        WEB: state(
            IPV4,
            *endpoints,
            type=ServiceType.LOAD_BALANCER,
            external_traffic_policy=TrafficPolicy.LOCAL,
            health_check_node_port=port,
        )
    }


def test_answers_follow_the_endpoints(sync: Sync) -> None:
    """When this node loses its endpoint, load balancers are told to go elsewhere."""
    port = free_port()
    sync(_balanced(port, local(IPV4.local_pod), remote(IPV4.remote_pod)))
    wait_until_listening(port)
    assert ask(port).status == 200
    sync(_balanced(port, remote(IPV4.remote_pod)))
    assert ask(port).status == 503


def test_ports_follow_the_addresses(sync: Sync) -> None:
    """The same Services are answered for where node ports are served now."""
    port = free_port()
    services = _balanced(port, local(IPV4.local_pod))
    sync(services, "127.0.0.2")
    wait_until_listening(port, "127.0.0.2")
    sync(services, "127.0.0.3")
    wait_until_listening(port, "127.0.0.3")
    wait_until_closed(port, "127.0.0.2")


def test_ports_follow_the_services(sync: Sync) -> None:
    """A deleted Service is answered for no longer."""
    port = free_port()
    sync(_balanced(port, local(IPV4.local_pod)))
    wait_until_listening(port)
    sync({})
    wait_until_closed(port)
