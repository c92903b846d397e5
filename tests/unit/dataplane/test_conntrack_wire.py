# SPDX-License-Identifier: Apache-2.0
"""Conntrack messages, compared with those that pyroute2 makes."""

from __future__ import annotations

import socket
import struct
from typing import Final

import pytest
from pyroute2.netlink.nfnetlink.nfctsocket import NFCTAttrTuple, nfct_msg

from dataplane.conntrack.wire import (
    delete_request,
    dump_request,
    is_in_a_zone,
    read_flow,
    read_name,
)
from dataplane.netlink import UnintelligibleError, messages
from rules.flows import Flow, SocketAddress
from rules.ir import Family
from tests.address_plan import PLANS, AddressPlan

_ADDRESS_FAMILIES: Final = {Family.IPV4: socket.AF_INET, Family.IPV6: socket.AF_INET6}
_PROTOCOLS: Final = {"udp": socket.IPPROTO_UDP, "sctp": socket.IPPROTO_SCTP}
_NEW, _GET, _DELETE = 0x100, 0x101, 0x102
_REQUEST, _ACKNOWLEDGE, _DUMP = 0x1, 0x4, 0x300
_PROTOCOL_ONLY = 1 << 3
_NESTED_FLAG = 0x80
_STATUS = 0x188


@pytest.fixture(params=PLANS, ids=lambda plan: plan.family.value)
def plan(request: pytest.FixtureRequest) -> AddressPlan:
    """The addresses of each family in turn."""
    chosen: AddressPlan = request.param
    return chosen


def _message(plan: AddressPlan, kind: int, flags: int, **attributes: object) -> bytes:
    """A message as pyroute2 encodes it."""
    message = nfct_msg.create_from(**attributes)
    message["header"] = {"type": kind, "flags": flags, "sequence_number": 1, "pid": 0}
    message["nfgen_family"] = _ADDRESS_FAMILIES[plan.family]
    message.encode()
    return bytes(message.data)


def _tuples(plan: AddressPlan, protocol: int) -> dict[str, object]:
    """A flow of the client to port 80 of the cluster IP, which a pod answers from port 8080."""
    family = _ADDRESS_FAMILIES[plan.family]
    return {
        "tuple_orig": NFCTAttrTuple(
            family=family,
            saddr=plan.node_ip,
            daddr=plan.cluster_ip,
            proto=protocol,
            sport=40000,
            dport=80,
        ),
        "tuple_reply": NFCTAttrTuple(
            family=family,
            saddr=plan.local_pod,
            daddr=plan.node_ip,
            proto=protocol,
            sport=8080,
            dport=40000,
        ),
    }


def _entry(plan: AddressPlan, protocol: int = socket.IPPROTO_UDP, **others: object) -> bytes:
    attributes = {**_tuples(plan, protocol), "status": _STATUS, "id": 77, **others}
    return _message(plan, _NEW, 0, **attributes)


def _unflagged(request: bytes) -> bytes:
    """``request`` without the marks of attributes that hold others: pyroute2 sets none."""
    return request.replace(bytes([_NESTED_FLAG]), bytes([0]))


@pytest.mark.parametrize("protocol", ["udp", "sctp"])
def test_a_dump_is_asked_for_by_protocol(plan: AddressPlan, protocol: str) -> None:
    """The request names the family and the protocol, and tells to filter by nothing else."""
    expected = _message(
        plan,
        _GET,
        _REQUEST | _DUMP,
        tuple_orig=NFCTAttrTuple(family=_ADDRESS_FAMILIES[plan.family], proto=_PROTOCOLS[protocol]),
        cta_filter={"attrs": [["CTA_FILTER_ORIG_FLAGS", _PROTOCOL_ONLY]]},
    )

    assert _unflagged(dump_request(plan.family, protocol, 1)) == _unflagged(expected)


@pytest.mark.parametrize("acknowledge", [True, False])
def test_an_entry_is_deleted_by_tuple_and_id(plan: AddressPlan, *, acknowledge: bool) -> None:
    """The name of an entry is what pyroute2 would put into a request for exactly that entry."""
    datagram = _entry(plan)
    (message,) = messages(datagram)
    original = _tuples(plan, socket.IPPROTO_UDP)["tuple_orig"]
    flags = _REQUEST | (_ACKNOWLEDGE if acknowledge else 0)

    name = read_name(datagram, message.content)
    request = delete_request(plan.family, name, 1, acknowledge=acknowledge)

    expected = _message(plan, _DELETE, flags, tuple_orig=original, id=77)
    assert _unflagged(request) == _unflagged(expected)


@pytest.mark.parametrize("protocol", ["udp", "sctp"])
def test_flows_are_read(plan: AddressPlan, protocol: str) -> None:
    """Whom the client addressed and who answers, with their ports."""
    datagram = _entry(plan, _PROTOCOLS[protocol])
    (message,) = messages(datagram)

    flow = read_flow(datagram, message.content, protocol, {80})

    assert message.error is None
    assert flow == Flow(
        protocol, SocketAddress(plan.cluster_ip, 80), SocketAddress(plan.local_pod, 8080)
    )


def test_other_flows_are_passed_over(plan: AddressPlan) -> None:
    """Those to other ports, and those of other protocols that an old kernel sends, too."""
    datagram = _entry(plan) + _entry(plan, socket.IPPROTO_TCP)
    udp, tcp = messages(datagram)

    assert read_flow(datagram, udp.content, "udp", {8080, 40000}) is None
    assert read_flow(datagram, udp.content, "sctp", {80}) is None
    assert read_flow(datagram, tcp.content, "udp", {80}) is None


def test_entries_of_zones_are_told_apart(plan: AddressPlan) -> None:
    """An entry that carries a zone is somebody's own."""
    datagram = _entry(plan) + _entry(plan, zone=7)
    ours, theirs = messages(datagram)

    assert not is_in_a_zone(datagram, ours.content)
    assert is_in_a_zone(datagram, theirs.content)


def _answer(kind: int, error: int) -> bytes:
    """The kernel's answer to request 5: an error, an acknowledgement or the end of a dump."""
    return struct.pack("=LHHLLl", 20, kind, 0, 5, 0, -error)


@pytest.mark.parametrize(("kind", "error"), [(2, 0), (2, 1), (3, 0), (3, 95)])
def test_answers(kind: int, error: int) -> None:
    """Errors, acknowledgements and the end of a dump give their errno, after any entries."""
    entry, answer = messages(_entry(PLANS[0]) + _answer(kind, error))

    assert entry.error is None
    assert (answer.sequence, answer.error) == (5, error)


def _flows(datagram: bytes) -> list[Flow | None]:
    return [read_flow(datagram, one.content, "udp", {80}) for one in messages(datagram)]


@pytest.mark.parametrize("garbage", [bytes(24), _entry(PLANS[0])[:20] + bytes(60)])
def test_garbage_is_an_error(garbage: bytes) -> None:
    """Messages or fields without length end in an error, not in an endless search."""
    with pytest.raises(UnintelligibleError, match=r"not in the form that nfnetlink\.h"):
        _flows(garbage)
