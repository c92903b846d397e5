# SPDX-License-Identifier: Apache-2.0
"""What the context of a sync is made of: where node ports are served, how large the cluster is."""

from __future__ import annotations

import pytest

from dataplane.node_ports import context_of
from dataplane.settings import PRIMARY, Settings, SourceSettings
from dataplane.state import Picture
from rules.ir import Family
from rules.model import Node
from tests.address_plan import IPV4
from tests.builders import WEB, remote, state

NODE = Node("node-a", ("192.168.0.10", "192.168.0.11", "fd00:192:168::10"))
LOCAL = ("10.0.0.1", "127.0.0.1", "192.168.0.10", "::1", "fd00:192:168::10")


@pytest.mark.parametrize(
    ("allowed", "family", "expected"),
    [
        ((), Family.IPV4, None),
        ((), Family.IPV6, None),
        (("192.168.0.0/24",), Family.IPV4, ("192.168.0.10",)),
        (("192.168.0.0/24",), Family.IPV6, None),
        (("192.168.0.0/24", "127.0.0.0/8"), Family.IPV4, ("127.0.0.1", "192.168.0.10")),
        (("0.0.0.0/0", "192.168.0.0/24"), Family.IPV4, None),
        (("fd00::/8", "192.168.0.0/24"), Family.IPV6, ("fd00:192:168::10",)),
        (("::1/128",), Family.IPV6, ()),
        (("172.16.0.0/12",), Family.IPV4, ()),
        ((PRIMARY,), Family.IPV4, ("192.168.0.10",)),
        ((PRIMARY,), Family.IPV6, ("fd00:192:168::10",)),
    ],
)
def test_addresses_that_serve_node_ports(
    allowed: tuple[str, ...], family: Family, expected: tuple[str, ...] | None
) -> None:
    """Networks choose among the local addresses of their family; None stands for all of them."""
    settings = Settings(source=SourceSettings(node_name=NODE.name), node_port_addresses=allowed)

    context = context_of(settings, Picture({}, NODE), family, lambda: LOCAL)

    assert context.node_port_addresses == expected


@pytest.mark.parametrize(
    ("node_address", "family", "expected"),
    [
        ("", Family.IPV4, ("192.168.0.10", "192.168.0.11")),
        ("10.0.0.1", Family.IPV4, ("10.0.0.1",)),
        ("10.0.0.1", Family.IPV6, ("fd00:192:168::10",)),
    ],
)
def test_bind_address_stands_for_the_nodes(
    node_address: str, family: Family, expected: tuple[str, ...]
) -> None:
    """``--bind-address`` takes the place of the Node's addresses of its family, as told."""
    settings = Settings(source=SourceSettings(node_name=NODE.name), node_address=node_address)

    assert context_of(settings, Picture({}, NODE), family, lambda: LOCAL).node_addresses == expected


def test_a_large_cluster_shows_in_the_context() -> None:
    """Whether a cluster is large follows from its endpoints, and from what it was before."""
    settings = Settings(source=SourceSettings(node_name=NODE.name))
    pods = [remote(f"10.{number >> 8}.{number & 255}.1") for number in range(900)]
    picture = Picture({WEB: state(IPV4, *pods)}, NODE)

    for was_large in (False, True):
        context = context_of(settings, picture, Family.IPV4, lambda: LOCAL, was_large=was_large)
        assert context.is_large is was_large
