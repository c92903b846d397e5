# SPDX-License-Identifier: Apache-2.0
"""What a browser may ask for."""

from __future__ import annotations

import pytest

from dataplane.status.query import (
    BadQueryError,
    Order,
    ServicesQuery,
    Which,
    decode_nothing,
    decode_services,
    decode_trace,
)


def test_services_without_wishes() -> None:
    """No parameters mean all service ports by name, as many as fit a page."""
    assert decode_services("") == ServicesQuery("", Order.NAME, 50)


def test_services_with_wishes() -> None:
    """A search is trimmed and knows no case; order and number are taken."""
    asked = decode_services("search=+Default%2FWEB+&order=rate&limit=7")

    assert asked == ServicesQuery("default/web", Order.RATE, 7)


def test_a_packet() -> None:
    """Both ends are taken apart; committed rules are meant unless told otherwise."""
    asked = decode_trace("from=10.244.1.7&to=10.96.0.10%3A53%2Fudp")

    assert (asked.packet.source, asked.packet.destination) == ("10.244.1.7", "10.96.0.10")
    assert (asked.packet.destination_port, asked.packet.protocol) == (53, "udp")
    assert (asked.packet.in_interface, asked.which) == (None, Which.DESIRED)


def test_a_packet_by_an_interface_through_live_rules() -> None:
    """IPv6 with a port, an interface, and the kernel's rules."""
    asked = decode_trace("from=%5Bfd00%3A%3A7%5D%3A4000&to=%5Bfd00%3A%3A1%5D:80&in=eth0&rules=live")

    assert (asked.packet.source, asked.packet.source_port) == ("fd00::7", 4000)
    assert (asked.packet.in_interface, asked.which) == ("eth0", Which.LIVE)


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("from=10.0.0.1", "to: missing"),
        ("from=&to=10.0.0.1:80", "from: missing"),
        ("from=me&to=10.0.0.1:80", "from: 'me' is neither an IP address nor one with a port"),
        ("from=10.0.0.1&to=10.0.0.1", "to: '10.0.0.1' is not an IP address and a port"),
        ("from=10.0.0.1&to=10.0.0.1:80/icmp", "to: 'icmp' is none of tcp, udp, sctp"),
        ("from=10.0.0.1&to=[fd00::1]:80", "different IP families"),
        ("from=10.0.0.1&to=10.0.0.2:80&in=a/b", "in: 'a/b' is no name of an interface"),
        ("from=10.0.0.1&to=10.0.0.2:80&in=longer-than-any-name", "in: "),
        ("from=10.0.0.1&to=10.0.0.2:80&rules=all", "rules: 'all' is none of desired, live"),
        ("from=fe80::1%25eth0&to=[fd00::1]:80", "from: "),
        ("from=1.1.1.1&from=2.2.2.2&to=10.0.0.2:80", "named twice"),
        ("from=1.1.1.1&to=10.0.0.2:80&verbose=1", "'verbose': no such parameter"),
        ("nonsense", "not of the form name=value"),
        ("a=1&b=2&c=3&d=4&e=5&f=6&g=7&h=8&i=9", "not of the form"),
        ("from=%ff&to=10.0.0.2:80", "not of the form"),
        ("from=" + "1" * 1100, "longer than 1024"),
    ],
)
def test_a_packet_that_cannot_be_meant(query: str, reason: str) -> None:
    """Whatever is wrong is named, in the words of the form."""
    with pytest.raises(BadQueryError) as caught:
        decode_trace(query)

    assert reason in str(caught.value)
    assert "--" not in str(caught.value)


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("limit=0", "limit: '0'"),
        ("limit=201", "limit: '201'"),
        ("limit=%C2%B2", "limit: '²'"),
        ("limit=99999999999999999999", "limit: "),
        ("order=size", "order: 'size' is none of name, rate"),
        ("search=" + "x" * 101, "search: at most 100 characters"),
    ],
)
def test_services_that_cannot_be_asked_for(query: str, reason: str) -> None:
    """Wrong orders, numbers and long searches are refused."""
    with pytest.raises(BadQueryError) as caught:
        decode_services(query)

    assert reason in str(caught.value)


def test_parameters_where_there_are_none() -> None:
    """A page without parameters refuses any."""
    decode_nothing("")
    with pytest.raises(BadQueryError, match="known: none"):
        decode_nothing("x=1")
