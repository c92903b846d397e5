# SPDX-License-Identifier: Apache-2.0
"""Requests about sets, as pyroute2 understands them; tests/kernel shows that the kernel does."""

from __future__ import annotations

import socket
import struct
from typing import Final

import pytest
from pyroute2.netlink.nfnetlink.ipset import ipset_msg

from dataplane.kernel.set_messages import (
    KernelSet,
    create_request,
    destroy_request,
    flush_request,
    list_request,
    number_request,
    read_set,
    reason_text,
)
from dataplane.netlink import messages
from rules.affinity import HASH_SIZE, MOST_CLIENTS
from rules.ir import ClientSet, Family

_NAME: Final = "KUBE-AFF-LOLE4ISW44XBNF3G"
_SUBSYSTEM: Final = 6 << 8
_REQUEST, _ACKNOWLEDGE, _DUMP = 0x1, 0x4, 0x300
_ADDRESS_FAMILIES: Final = {Family.IPV4: socket.AF_INET, Family.IPV6: socket.AF_INET6}


def _understood(request: bytes) -> ipset_msg:
    message = ipset_msg(request)
    message.decode()
    return message


@pytest.mark.parametrize(
    ("request_bytes", "command", "flags"),
    [
        (destroy_request(_NAME, 5), 3, _ACKNOWLEDGE),
        (flush_request(_NAME, 5), 4, _ACKNOWLEDGE),
        (number_request(_NAME, 5), 14, 0),
    ],
)
def test_a_set_is_named(request_bytes: bytes, command: int, flags: int) -> None:
    """What is asked for, of which set, and in which version of the protocol."""
    message = _understood(request_bytes)

    assert message["header"]["type"] == _SUBSYSTEM | command
    assert message["header"]["flags"] == _REQUEST | flags
    assert message["header"]["sequence_number"] == 5
    assert message.get_attr("IPSET_ATTR_PROTOCOL") == 7
    assert message.get_attr("IPSET_ATTR_SETNAME") == _NAME


@pytest.mark.parametrize("family", Family)
def test_a_set_is_described(family: Family) -> None:
    """A hash of addresses of one family, with a time-out and room for thousands."""
    message = _understood(create_request(ClientSet(_NAME, 10800), family, 1))

    assert message.get_attr("IPSET_ATTR_SETNAME") == _NAME
    assert message.get_attr("IPSET_ATTR_TYPENAME") == "hash:ip"
    assert message.get_attr("IPSET_ATTR_FAMILY") == _ADDRESS_FAMILIES[family]
    data = message.get_attr("IPSET_ATTR_DATA")
    assert data.get_attr("IPSET_ATTR_TIMEOUT") == 10800
    assert data.get_attr("IPSET_ATTR_HASHSIZE") == HASH_SIZE
    assert data.get_attr("IPSET_ATTR_MAXELEM") == MOST_CLIENTS


def test_a_listing_leaves_members_out() -> None:
    """It would take long to read all clients of all endpoints."""
    message = _understood(list_request(1))

    assert message["header"]["flags"] == _REQUEST | _DUMP
    assert message.get_attr("IPSET_ATTR_FLAGS") == 1 << 2


@pytest.mark.parametrize(
    ("kind", "family", "expected"),
    [
        ("hash:ip", socket.AF_INET, KernelSet(_NAME, 7, Family.IPV4, is_of_clients=True)),
        ("hash:net", socket.AF_INET6, KernelSet(_NAME, 7, Family.IPV6, is_of_clients=False)),
        ("list:set", socket.AF_UNSPEC, KernelSet(_NAME, 7, None, is_of_clients=False)),
    ],
)
def test_a_set_is_read(kind: str, family: int, expected: KernelSet) -> None:
    """Its name, its number, and whether it is one that holds clients."""
    message = ipset_msg()
    message["header"] = {
        "type": _SUBSYSTEM | 7,
        "flags": 2,
        "sequence_number": 1,
        "pid": 0,
    }
    message["attrs"] = [
        ["IPSET_ATTR_PROTOCOL", 7],
        ["IPSET_ATTR_SETNAME", _NAME],
        ["IPSET_ATTR_TYPENAME", kind],
        ["IPSET_ATTR_FAMILY", family],
        ["IPSET_ATTR_INDEX", 7],
        ["IPSET_ATTR_DATA", {"attrs": [["IPSET_ATTR_TIMEOUT", 60]]}],
    ]
    message.encode()
    datagram = bytes(message.data)
    (read,) = messages(datagram)

    assert read_set(datagram, read.content) == expected


@pytest.mark.parametrize(
    ("number", "expected"),
    [(1, "Operation not permitted"), (4099, "the kernel has as many sets as it can have")],
)
def test_refusals_are_told(number: int, expected: str) -> None:
    """Numbers of the system and ipset's own have words."""
    answer = struct.pack("=LHHLLl", 20, 2, 0, 5, 0, -number)
    (message,) = messages(answer)

    assert message.error is not None
    assert reason_text(message.error) == expected
