# SPDX-License-Identifier: Apache-2.0
"""What a rule is for (an address, a protocol, a port) as one number.

Its digits are hexadecimal: those of the address, if the rule asks for one; then one for the
protocol; then four for the port. All that begins with the same digits is one network, one protocol
or one range of ports, so that a single rule can ask for it.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address
from typing import Final, NamedTuple

from rules.addresses import address_number
from rules.ir import PortMatch, Rule

DIGIT_BITS: Final = 4
_PORT_BITS: Final = 16
_BITS_AFTER_ADDRESS: Final = DIGIT_BITS + _PORT_BITS
_PROTOCOLS: Final = ("tcp", "udp", "sctp")
_ADDRESS: Final = {32: IPv4Address, 128: IPv6Address}
"""By its bits."""


class Region(NamedTuple):
    """Places that begin with the same digits."""

    text: str
    """As people write it: a network, or a protocol and its ports."""
    destination: str = ""
    protocol: str = ""
    ports: PortMatch | None = None

    def jump(self, chain: str) -> Rule:
        """The rule that leads what goes there to ``chain``."""
        matches = () if self.ports is None else (self.ports,)
        return Rule(chain, matches, self.protocol, destination=self.destination)


def place_of(rule: Rule) -> int:
    """The place that a rule is for, which asks for a protocol and a single port."""
    address = rule.destination.partition("/")[0]
    number = address_number(address) if address else 0
    number = number << DIGIT_BITS | _PROTOCOLS.index(rule.protocol)
    (port,) = [match.destination for match in rule.matches if type(match) is PortMatch]
    return number << _PORT_BITS | (port or 0)


class Places:
    """The places of rules that all ask for an address of one family, or that all ask for none."""

    def __init__(self, address_bits: int) -> None:
        """``address_bits`` is 0 if the rules do not ask for an address."""
        self._address_bits = address_bits
        self.bits: Final = address_bits + _BITS_AFTER_ADDRESS
        """How long the number of a place is."""

    def region(self, first: int, length: int) -> Region:
        """All places whose first ``length`` bits are those of ``first``, their least."""
        address_number = first >> _BITS_AFTER_ADDRESS
        address = str(_ADDRESS[self._address_bits](address_number)) if self._address_bits else ""
        if length <= self._address_bits:
            network = f"{address}/{length}"
            return Region(network, network)
        protocol = _PROTOCOLS[first >> _PORT_BITS & (1 << DIGIT_BITS) - 1]
        port = first & (1 << _PORT_BITS) - 1
        last = port + (1 << self.bits - length) - 1
        is_every_port = length == self._address_bits + DIGIT_BITS
        return Region(
            "-".join([*filter(None, [address]), protocol, str(port), str(last)]),
            f"{address}/{self._address_bits}" if address else "",
            protocol,
            None if is_every_port else PortMatch(protocol, port, last),
        )
