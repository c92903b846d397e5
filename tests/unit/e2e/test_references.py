# SPDX-License-Identifier: Apache-2.0
"""References of scenarios."""

from __future__ import annotations

from typing import Any, Final

import pytest

from lab.plan import DualStack
from rules.ir import Family
from tests.e2e.errors import UnknownNameError
from tests.e2e.references import References, numbered

_SERVICE: Final[dict[str, Any]] = {
    "metadata": {"name": "web"},
    "spec": {
        "clusterIPs": ["10.96.0.10", "fd00:10:96::a"],
        "ports": [
            {"name": "http", "port": 80, "nodePort": 30080},
            {"port": 443, "nodePort": 30443},
        ],
        "healthCheckNodePort": 31000,
    },
    "status": {"loadBalancer": {"ingress": [{"ip": "198.51.100.1"}]}},
}


@pytest.fixture
def references() -> References:
    """Of a scenario with one node, one pod and one Service."""
    return References(
        "mine",
        node_address=lambda _name: DualStack("192.0.2.11", "2001:db8:a::11"),
        pod_address=lambda _name: DualStack("10.244.1.2", "fd00:10:244:1::2"),
        service=lambda _name: _SERVICE,
    )


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("<namespace>/web", "mine/web"),
        ("<service/web.ip>:80", "10.96.0.10:80"),
        ("<service/web.ipv6>", "fd00:10:96::a"),
        ("<node/node-a.ip>:<service/web.node-port>", "192.0.2.11:30080"),
        ("<service/web.node-port.443> <service/web.node-port.http>", "30443 30080"),
        ("<service/web.health-port>", "31000"),
        ("<service/web.ingress-ip>", "198.51.100.1"),
        ("<pod/one.ip> <client.ip>", "10.244.1.2 203.0.113.10"),
        ("(?<![a-z])web", "(?<![a-z])web"),
    ],
)
def test_what_references_stand_for(references: References, text: str, value: str) -> None:
    """All references of a text are replaced, and nothing else."""
    assert references.resolve(text, Family.IPV4) == value


def test_the_family_decides(references: References) -> None:
    """Where a reference names no family, it is that of the question."""
    assert references.resolve("<pod/one.ip>", Family.IPV6) == "fd00:10:244:1::2"


@pytest.mark.parametrize(
    "text", ["<pods/one.ip>", "<service/web.port>", "<service/web.node-port.9>"]
)
def test_a_reference_to_nothing(references: References, text: str) -> None:
    """It is refused by an error that tells what there is, or what is missing."""
    with pytest.raises(UnknownNameError, match=r"there are|has no"):
        references.resolve(text, Family.IPV4)


def test_numbers_tell_like_values_apart() -> None:
    """All texts of a value get the number, whatever holds them."""
    value = {"name": "web-<number>", "ports": ({"name": "p<number>", "port": 80},)}

    assert numbered(value, 7) == {"name": "web-7", "ports": [{"name": "p7", "port": 80}]}


def test_an_address_that_is_not_there_yet(references: References) -> None:
    """It is refused, not replaced by one of the other family."""
    with pytest.raises(UnknownNameError, match="no ingress-ip of ipv6"):
        references.resolve("<service/web.ingress-ip>", Family.IPV6)
