# SPDX-License-Identifier: Apache-2.0
"""The addresses on which node ports are served, where ``--nodeport-addresses`` restricts them."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address
from typing import Final

from pyroute2 import IPRoute, NetlinkError

from dataplane.errors import KernelError
from rules.addresses import contains, family_of
from rules.model import Node

PRIMARY: Final = "primary"
"""In place of networks: the node's first address of each family, as its Node object has it."""


def node_port_addresses(
    allowed: tuple[str, ...], node: Node, local_addresses: Iterable[str]
) -> tuple[str, ...]:
    """The addresses that ``allowed`` (networks, or PRIMARY) lets serve node ports."""
    if allowed == (PRIMARY,):
        first_by_family = {family_of(address): address for address in reversed(node.addresses)}
        return tuple(sorted(first_by_family.values()))
    return tuple(
        sorted(
            address
            for address in set(local_addresses)
            if any(contains(network, address) for network in allowed)
        )
    )


def local_addresses() -> tuple[str, ...]:
    """All addresses of this network namespace's interfaces, in canonical form.

    Raises:
        KernelError: the kernel does not tell.
    """
    try:
        with IPRoute() as netlink:
            found = [dict(message["attrs"]) for message in netlink.get_addr()]
    except (OSError, NetlinkError) as error:
        raise KernelError(f"cannot read the addresses of this node: {error}") from error
    texts = (attributes.get("IFA_LOCAL") or attributes.get("IFA_ADDRESS") for attributes in found)
    return tuple(sorted(str(ip_address(text)) for text in texts if text))
