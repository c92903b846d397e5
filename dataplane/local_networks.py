# SPDX-License-Identifier: Apache-2.0
"""Which addresses this node has for its own: those that ``-m addrtype`` calls LOCAL."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from ipaddress import ip_network
from typing import Final

from dataplane.errors import KernelError
from rules.addresses import host_network, of_family
from rules.ir import Family

_LOCAL_TABLE: Final = 255  # RT_TABLE_LOCAL
_LOCAL_ROUTE: Final = 2  # RTN_LOCAL
_ADDRESS_FAMILIES: Final = {Family.IPV4: socket.AF_INET, Family.IPV6: socket.AF_INET6}
_ANYWHERE: Final = {Family.IPV4: "0.0.0.0", Family.IPV6: "::"}  # noqa: S104 - nothing listens
_LOOPBACK: Final = {Family.IPV4: "127.0.0.0/8", Family.IPV6: "::1/128"}


def networks_of(addresses: Iterable[str], family: Family) -> tuple[str, ...]:
    """What is local to a node that is known by its addresses only."""
    return (_LOOPBACK[family], *map(host_network, of_family(addresses, family)))


def local_networks(family: Family) -> tuple[str, ...]:
    """What the routes of this network namespace deliver to itself.

    Raises:
        KernelError: the kernel does not tell.
    """
    # Takes a third of a second, and is needed by few commands.
    from pyroute2 import IPRoute, NetlinkError  # noqa: PLC0415 - see above

    try:
        with IPRoute() as netlink:
            found = [
                (dict(route["attrs"]).get("RTA_DST", _ANYWHERE[family]), route["dst_len"])
                for route in netlink.get_routes(
                    family=_ADDRESS_FAMILIES[family], table=_LOCAL_TABLE, type=_LOCAL_ROUTE
                )
            ]
    except (OSError, NetlinkError) as error:
        raise KernelError(f"cannot read the local routes of this node: {error}") from error
    return tuple(sorted(str(ip_network(destination)) for destination in found))
