# SPDX-License-Identifier: Apache-2.0
"""Questions about addresses and networks given as canonical text."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network

from rules.ir import Family


def family_of(address_or_network: str) -> Family:
    """The family of an address or network: only IPv6 text has a colon."""
    return Family.IPV6 if ":" in address_or_network else Family.IPV4


def of_family(addresses: Iterable[str], family: Family) -> tuple[str, ...]:
    """Those of ``addresses`` (or networks) that belong to ``family``, in the same order."""
    is_ipv6 = family is Family.IPV6
    return tuple(address for address in addresses if (":" in address) is is_ipv6)


def host_network(address: str) -> str:
    """The network that holds ``address`` alone."""
    return f"{address}/128" if ":" in address else f"{address}/32"


def address_number(address: str) -> int:
    """The bits of ``address`` as a number."""
    if ":" in address:
        return int(IPv6Address(address))
    # The ipaddress module takes six times as long, most of it for checks.
    first, second, third, fourth = address.split(".")
    return int(first) << 24 | int(second) << 16 | int(third) << 8 | int(fourth)


def endpoint_text(address: str, port: int) -> str:
    """``ip:port``, with brackets around an IPv6 address."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


@lru_cache(maxsize=4096)
def contains(network: str, address: str) -> bool:
    """Whether ``address`` is in ``network``; False across families."""
    return ip_address(address) in ip_network(network)


def is_loopback(address: str) -> bool:
    """Whether ``address`` is in 127.0.0.0/8 or is ::1."""
    return ip_address(address).is_loopback
