# SPDX-License-Identifier: Apache-2.0
"""Which addresses are this node's, and on which of them node ports are served."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from ipaddress import ip_address

from dataplane.errors import KernelError
from dataplane.settings import PRIMARY, Settings
from dataplane.state import Picture
from rules.addresses import contains, family_of, of_family
from rules.cluster_size import is_large_cluster
from rules.context import FamilyContext, family_context
from rules.ir import Family
from rules.model import Node


def context_of(
    settings: Settings,
    picture: Picture,
    family: Family,
    local_addresses: Callable[[], Iterable[str]],
    *,
    was_large: bool = False,
) -> FamilyContext:
    """What the rules of ``family`` depend on; ``local_addresses`` is asked only if they matter.

    A family that no network is given for is not restricted, as with kube-proxy. ``was_large`` is
    whether the cluster was a large one before.
    """
    node = _with_address(picture.node, settings.node_address)
    is_large = is_large_cluster(
        settings.options.large_cluster_mode, picture.services.values(), was_large=was_large
    )
    allowed = settings.node_port_addresses
    if allowed == (PRIMARY,):
        addresses = of_family(node.addresses, family)[:1]
    else:
        networks = of_family(allowed, family)
        if not networks or any(network.endswith("/0") for network in networks):
            return family_context(settings.options, node, family, is_large=is_large)
        addresses = tuple(
            address
            for address in local_addresses()
            if any(contains(network, address) for network in networks)
        )
    options = replace(settings.options, restrict_node_ports=True)
    return family_context(options, node, family, addresses, is_large=is_large)


def _with_address(node: Node, address: str) -> Node:
    """``node`` with ``address``, if there is one, for its only address of that family."""
    if not address:
        return node
    others = tuple(known for known in node.addresses if family_of(known) is not family_of(address))
    return replace(node, addresses=(address, *others))


def interface_addresses() -> tuple[str, ...]:
    """All addresses of this network namespace's interfaces, in canonical form.

    Raises:
        KernelError: the kernel does not tell.
    """
    # Takes a third of a second, which only those wait for who restrict node ports.
    from pyroute2 import IPRoute, NetlinkError  # noqa: PLC0415 - see above

    try:
        with IPRoute() as netlink:
            found = [dict(message["attrs"]) for message in netlink.get_addr()]
    except (OSError, NetlinkError) as error:
        raise KernelError(f"cannot read the addresses of this node: {error}") from error
    texts = (attributes.get("IFA_LOCAL") or attributes.get("IFA_ADDRESS") for attributes in found)
    return tuple(sorted(str(ip_address(text)) for text in texts if text))
