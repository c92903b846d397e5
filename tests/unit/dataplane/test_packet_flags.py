# SPDX-License-Identifier: Apache-2.0
"""The packet that the command line names."""

from __future__ import annotations

import click
import pytest

from dataplane.packet_flags import PacketFlags, decode_packet
from rules.ir import Family

_LOCAL = ("127.0.0.0/8", "192.0.2.11/32")


@pytest.mark.parametrize(
    ("source", "target", "expected"),
    [
        ("10.0.0.1", "10.0.0.2:80/tcp", ("tcp", "10.0.0.1", None, "10.0.0.2", 80)),
        ("10.0.0.1:4000", "10.0.0.2:53/UDP", ("udp", "10.0.0.1", 4000, "10.0.0.2", 53)),
        ("10.0.0.1", "10.0.0.2:80", ("tcp", "10.0.0.1", None, "10.0.0.2", 80)),
        ("fd00::1", "[fd00:0:0::2]:80/sctp", ("sctp", "fd00::1", None, "fd00::2", 80)),
        ("[fd00::1]:4000", "[fd00::2]:80", ("tcp", "fd00::1", 4000, "fd00::2", 80)),
    ],
)
def test_packets_of_all_kinds_are_understood(
    source: str, target: str, expected: tuple[str, str, int | None, str, int]
) -> None:
    """With and without a source port, and with tcp where no protocol is named."""
    flags = decode_packet(source, target, None)

    assert expected == (
        flags.protocol,
        flags.source,
        flags.source_port,
        flags.destination,
        flags.destination_port,
    )
    assert flags.family is (Family.IPV6 if ":" in expected[1] else Family.IPV4)


@pytest.mark.parametrize(
    ("source", "target", "message"),
    [
        ("client", "10.0.0.2:80", "--from: 'client' is neither an IP address"),
        ("10.0.0.1", "10.0.0.2", "--to: '10.0.0.2' is not an IP address and a port"),
        ("10.0.0.1", "web:80", "--to: 'web:80' is not an IP address and a port"),
        ("10.0.0.1", "10.0.0.2:0", "--to: '10.0.0.2:0' is not an IP address and a port"),
        ("10.0.0.1", "10.0.0.2:80/icmp", "--to: 'icmp' is none of tcp, udp, sctp"),
        ("fd00::1", "10.0.0.2:80", "--from fd00::1 and --to 10.0.0.2 are of different"),
    ],
)
def test_what_is_no_packet_is_refused(source: str, target: str, message: str) -> None:
    """The message names the flag and what is wrong with it."""
    with pytest.raises(click.UsageError) as caught:
        decode_packet(source, target, None)

    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("source", "in_interface", "is_from_this_node"),
    [
        ("192.0.2.11", None, True),
        ("127.0.0.1", None, True),
        ("192.0.2.12", None, False),
        ("192.0.2.11", "eth0", False),
    ],
)
def test_a_packet_from_a_local_address_is_this_nodes(
    source: str, in_interface: str | None, *, is_from_this_node: bool
) -> None:
    """Unless it is said to arrive by an interface."""
    flags: PacketFlags = decode_packet(source, "10.96.0.1:443", in_interface)
    packet = flags.packet(_LOCAL)

    assert packet.is_from_this_node is is_from_this_node
    assert packet.in_interface == in_interface
