# SPDX-License-Identifier: Apache-2.0
"""Which addresses a machine has for its own, as its routes tell."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dataplane.local_networks import local_networks, networks_of
from lab import Host, Lab, wait_until
from rules.addresses import contains
from rules.ir import Family


@pytest.fixture
def host() -> Iterator[Host]:
    """A machine with a loopback interface only."""
    with Lab() as lab:
        (machine,) = lab.add_hosts("local")
        yield machine


@pytest.mark.parametrize(
    ("family", "address", "network"),
    [
        (Family.IPV4, "192.0.2.7/32", "198.51.100.0/24"),
        (Family.IPV6, "2001:db8:a::7/128", "2001:db8:b::/64"),
    ],
)
def test_addresses_and_local_routes_are_found(
    host: Host, family: Family, address: str, network: str
) -> None:
    """What the kernel delivers to itself is local, and its neighbours are not."""
    own = address.partition("/")[0]
    host.ip(f"addr add {address} dev lo", f"route add local {network} dev lo")
    # The kernel makes the routes of an IPv6 address after it has answered.
    listing = ["ip", "-6" if family is Family.IPV6 else "-4", "route", "list", "table", "local"]
    wait_until(f"{own} has its route", lambda: f"local {own} " in host.run(listing).stdout)

    with host.entered():
        found = local_networks(family)

    loopback = "127.1.2.3" if family is Family.IPV4 else "::1"
    inside = network.partition("/")[0].removesuffix("0") + "9"
    for local in (own, loopback, inside):
        assert any(contains(one, local) for one in found), local
    neighbour = own.removesuffix("7") + "8"
    assert not any(contains(one, neighbour) for one in found)


def test_a_node_that_is_known_by_its_addresses_has_a_loopback() -> None:
    """Each family has its own, and the addresses of the other do not count."""
    addresses = ("192.0.2.11", "2001:db8:a::11")

    assert networks_of(addresses, Family.IPV4) == ("127.0.0.0/8", "192.0.2.11/32")
    assert networks_of(addresses, Family.IPV6) == ("::1/128", "2001:db8:a::11/128")
