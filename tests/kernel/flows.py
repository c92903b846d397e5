# SPDX-License-Identifier: Apache-2.0
"""Flows through a node: clients that go on from one port, and what conntrack knows of them."""

from __future__ import annotations

import socket
from ipaddress import ip_address
from types import TracebackType
from typing import Final, NamedTuple, Self

from pyroute2.conntrack import Conntrack
from pyroute2.netlink.nfnetlink.nfctsocket import NFCTAttrTuple

from lab import Answered, Host, Outcome, Protocol, Refused, Target, TimedOut
from rules.ir import Family

_ADDRESS_FAMILIES: Final = {Family.IPV4: socket.AF_INET, Family.IPV6: socket.AF_INET6}


class Client:
    """Asks an echo server again and again from the same port, as one flow."""

    def __init__(self, host: Host, target: Target) -> None:
        family = socket.AF_INET6 if ":" in target.address else socket.AF_INET
        with host.entered():
            self._socket = socket.socket(family, target.protocol.value)
        self._socket.connect((target.address, target.port))
        self.target = target
        self.port: int = self._socket.getsockname()[1]

    def __enter__(self) -> Self:
        """Use it as a context manager to close it at the end."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the client's port."""
        self._socket.close()

    def ask(self, *, timeout_seconds: float = 2.0) -> Outcome:
        """Ask once and tell what became of it."""
        self._socket.settimeout(timeout_seconds)
        try:
            self._socket.sendall(b"who?\n")
            name, source, port = self._socket.recv(1024).decode().split()
        except TimeoutError:
            return TimedOut()
        except ConnectionRefusedError:
            return Refused()
        return Answered(by=name, source=source, source_port=int(port))

    def answer(self) -> Answered:
        """The answer, which must come."""
        outcome = self.ask()
        assert isinstance(outcome, Answered), f"{self.target}: {outcome}"
        return outcome


class KnownFlow(NamedTuple):
    """One conntrack entry, as pyroute2 reads it."""

    identity: int
    client_port: int | None
    """None for protocols whose ports pyroute2 does not read."""
    replies_from: str


def known_flows(node: Host, family: Family, client: Client) -> list[KnownFlow]:
    """What conntrack on ``node`` knows of a client's flow."""
    numbers = {Protocol.UDP: socket.IPPROTO_UDP, Protocol.TCP: socket.IPPROTO_TCP}
    number = numbers[client.target.protocol]
    flows = flows_to(node, family, number, client.target.address)
    return [flow for flow in flows if flow.client_port == client.port]


def flows_to(node: Host, family: Family, number: int, address: str) -> list[KnownFlow]:
    """What conntrack on ``node`` knows of flows of one protocol number to one address."""
    address_family = _ADDRESS_FAMILIES[family]
    # pyroute2 finds nothing if it is asked for an IPv6 address, hence the comparison here.
    wanted = NFCTAttrTuple(family=address_family, proto=number)
    with node.entered(), Conntrack(nfgen_family=address_family) as conntrack:
        return [
            KnownFlow(entry.id, entry.tuple_orig.sport, entry.tuple_reply.saddr)
            for entry in conntrack.dump_entries(tuple_orig=wanted)
            if ip_address(entry.tuple_orig.daddr) == ip_address(address)
        ]


def forget_flows(node: Host, family: Family) -> None:
    """Empty the conntrack table of ``node``."""
    with node.entered(), Conntrack(nfgen_family=_ADDRESS_FAMILIES[family]) as conntrack:
        conntrack.flush()
