# SPDX-License-Identifier: Apache-2.0
"""The packet to trace, as the command line names it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import click

from dataplane.config.addresses import parse_address, parse_listen_address
from rules.addresses import contains, family_of
from rules.ir import Family
from rules.trace.packet import Packet

_PROTOCOLS: Final = ("tcp", "udp", "sctp")


@dataclass(frozen=True, slots=True, kw_only=True)
class PacketFlags:
    """A packet, before it is known which addresses are this node's."""

    protocol: str
    source: str
    source_port: int | None
    destination: str
    destination_port: int
    in_interface: str | None

    @property
    def family(self) -> Family:
        """The family of its addresses."""
        return family_of(self.destination)

    def packet(self, local_networks: Iterable[str]) -> Packet:
        """The packet; from this node if its source is and no interface was named."""
        is_local = any(contains(network, self.source) for network in local_networks)
        return Packet(
            protocol=self.protocol,
            source=self.source,
            source_port=self.source_port,
            destination=self.destination,
            destination_port=self.destination_port,
            in_interface=self.in_interface,
            is_from_this_node=is_local and self.in_interface is None,
        )


def decode_packet(source: str, target: str, in_interface: str | None) -> PacketFlags:
    """The packet that ``--from``, ``--to`` and ``--in-interface`` name.

    Raises:
        click.UsageError: a value cannot be used.
    """
    place, _, protocol = target.partition("/")
    protocol = protocol.lower() or _PROTOCOLS[0]
    if protocol not in _PROTOCOLS:
        raise click.UsageError(f"--to: {protocol!r} is none of {', '.join(_PROTOCOLS)}")
    try:
        destination = parse_listen_address(place)
    except ValueError as error:
        raise click.UsageError(f"--to: {error}, optionally with /tcp, /udp or /sctp") from None
    address, port = _source(source)
    if family_of(address) is not family_of(destination.host):
        raise click.UsageError(
            f"--from {address} and --to {destination.host} are of different IP families"
        )
    return PacketFlags(
        protocol=protocol,
        source=address,
        source_port=port,
        destination=destination.host,
        destination_port=destination.port,
        in_interface=in_interface,
    )


def _source(text: str) -> tuple[str, int | None]:
    """An address, with a port if there is one."""
    try:
        return parse_address(text), None
    except ValueError:
        pass
    try:
        return parse_listen_address(text)
    except ValueError:
        raise click.UsageError(
            f"--from: {text!r} is neither an IP address nor one with a port"
        ) from None
