# SPDX-License-Identifier: Apache-2.0
"""What is new from one moment to the next."""

from __future__ import annotations

from dataclasses import replace

from rules.ir import Family
from rules.model import (
    EndpointSlice,
    ObjectKey,
    Service,
    ServiceState,
    ServiceType,
    SliceEndpoint,
    SlicePort,
)
from rules.news import Difference, News, news

WEB = ObjectKey("default", "web")
OLD = ObjectKey("default", "old")
IPV4 = Family.IPV4


def state(key: ObjectKey, *endpoints: SliceEndpoint, port: int = 8080) -> ServiceState:
    """A Service with these endpoints in one slice."""
    service = Service(key, ServiceType.CLUSTER_IP, (), ("10.96.0.10",))
    one = EndpointSlice(
        ObjectKey(key.namespace, f"{key.name}-1"), key, IPV4, (SlicePort("", port),), endpoints
    )
    return ServiceState(service, (one,))


A, B = SliceEndpoint("10.244.1.2"), SliceEndpoint("10.244.1.3")


def test_everything_is_new_at_first() -> None:
    """With nothing before, all Services and endpoints are added, by name."""
    found = news({}, {WEB: state(WEB, A, B)}, IPV4)

    assert found == News(
        Difference(added=("default/web",)),
        Difference(added=("default/web 10.244.1.2", "default/web 10.244.1.3")),
    )
    assert found.is_any


def test_what_came_went_and_became_another() -> None:
    """An endpoint that is replaced, and a Service that is, are told apart from a changed one."""
    before = {OLD: state(OLD, A), WEB: state(WEB, A, B)}
    after = {WEB: state(WEB, replace_readiness(A), SliceEndpoint("10.244.1.4"))}
    web = after[WEB]
    after[WEB] = web._replace(service=replace(web.service, external_ips=("198.51.100.1",)))

    assert news(before, after, IPV4) == News(
        Difference(removed=("default/old",), changed=("default/web",)),
        Difference(
            added=("default/web 10.244.1.4",),
            removed=("default/old 10.244.1.2", "default/web 10.244.1.3"),
            changed=("default/web 10.244.1.2",),
        ),
    )


def replace_readiness(endpoint: SliceEndpoint) -> SliceEndpoint:
    """The same endpoint, not ready."""
    return endpoint._replace(ready=False)


def test_other_ports_change_all_endpoints_of_a_slice() -> None:
    """Where a slice has other ports, its endpoints are changed and its Service is not."""
    found = news({WEB: state(WEB, A)}, {WEB: state(WEB, A, port=9090)}, IPV4)

    assert found == News(endpoints=Difference(changed=("default/web 10.244.1.2",)))


def test_a_family_does_not_hear_of_the_other_ones_endpoints() -> None:
    """A slice of IPv4 is no news for IPv6, while its Service is."""
    found = news({}, {WEB: state(WEB, A)}, Family.IPV6)

    assert found == News(services=Difference(added=("default/web",)))


def test_nothing_new() -> None:
    """Equal states are no news, whether they are the same objects or not."""
    same = state(WEB, A)

    assert not news({WEB: same}, {WEB: same}, IPV4).is_any
    assert not news({WEB: same}, {WEB: state(WEB, A)}, IPV4).is_any
