# SPDX-License-Identifier: Apache-2.0
"""What is told of service ports, and the table that it makes."""

from __future__ import annotations

from rules.ir import Family
from rules.model import ServiceState, ServiceType, TrafficPolicy
from rules.traffic.accounts import Account, Purpose, service_ports
from rules.traffic.report import Readings, ServiceTraffic, Traffic, service_traffic
from rules.traffic.tally import Entry, Tally
from rules.traffic.words import services_table
from tests.address_plan import IPV4
from tests.builders import NODE_PORT, ServiceFields, context, local, remote, service_port, state

_EVERYWHERE = ServiceFields(
    type=ServiceType.LOAD_BALANCER,
    ports=(service_port(node_port=NODE_PORT),),
    external_ips=(IPV4.external_ip,),
    ingress_ips=(IPV4.ingress_ip,),
)


def _report(one: ServiceState, before: Tally | None = None, **packets: int) -> ServiceTraffic:
    """What is told of the only port of a Service, by packets for purposes in lower case."""
    ports = list(service_ports([one], context(IPV4)))
    last: Tally = {
        name: Entry(Account(ports[0].hash, Purpose[name.upper()]), count)
        for name, count in packets.items()
    }
    (found,) = service_traffic(Family.IPV4, ports, Readings(last, before, 2.0))
    return found


def test_rates_are_those_between_two_readings() -> None:
    """In a second; without a first reading there is none."""
    one = state(IPV4, local(IPV4.local_pod))
    before: Tally = {"served": Entry(Account("", Purpose.SERVED), 10)}

    assert _report(one, served=25).connections == Traffic(25, None)
    assert _report(one, before, served=25).connections == Traffic(25, 7.5)
    assert _report(one, before, served=25).rejected == Traffic(0, 0.0)


def test_drops_are_summed_up() -> None:
    """Both reasons, and their rates."""
    found = _report(
        state(IPV4), {}, outside_source_ranges=4, no_local_endpoints=2, rejected=1, served=9
    )

    assert found.all_dropped == Traffic(6, 3.0)
    assert _report(state(IPV4)).all_dropped == Traffic(0, None)


def test_endpoints_are_those_that_are_in_use() -> None:
    """Policy Local for all traffic leaves those of the node."""
    pods = (local(IPV4.local_pod), remote(IPV4.remote_pod))
    policy = TrafficPolicy.LOCAL

    everywhere = _report(state(IPV4, *pods, **_EVERYWHERE))
    here = _report(state(IPV4, *pods, internal_traffic_policy=policy))

    assert [one.is_local for one in everywhere.endpoints] == [True, False]
    assert [one.text for one in here.endpoints] == [IPV4.endpoint(IPV4.local_pod)]


def test_services_of_others_are_not_told_of() -> None:
    """Headless ones, those of another proxy, and those without an address of the family."""
    states = [
        state(IPV4, cluster_ips=()),
        state(IPV4, proxy_name="other"),
        state(IPV4, cluster_ips=("fd00:10:96::c6",)),
    ]

    assert list(service_ports(states, context(IPV4))) == []


def test_the_table_has_a_row_for_each_service_port() -> None:
    """And for each endpoint, if wanted; numbers stand at the right of their columns."""
    fields = _EVERYWHERE.copy()
    fields["external_traffic_policy"] = TrafficPolicy.LOCAL
    full = state(IPV4, local(IPV4.local_pod), remote(IPV4.remote_pod), **fields)

    lines = services_table(
        [_report(full, {}, served=12345, rejected=1), _report(state(IPV4))], with_endpoints=True
    )

    assert lines[0].startswith("SERVICE PORT ")
    assert [line.split() for line in lines[1:]] == [
        [
            *("default/web", "tcp", "10.96.86.198:80", "203.0.113.7:80", "198.51.100.0:80"),
            *(f":{NODE_PORT}", "external", "Local"),
            *("2,", "1", "local", "12345", "6172.5", "0", "1"),
        ],
        ["10.244.1.2:80", "local", "0", "0.0"],
        ["10.244.2.6:80", "0", "0.0"],
        ["default/web", "tcp", "10.96.86.198:80", "Cluster", "0", "0", "-", "0", "0"],
    ]
    assert lines[1].index("12345") + len("12345") == lines[0].index("CONNECTIONS") + len(
        "CONNECTIONS"
    )
