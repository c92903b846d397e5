# SPDX-License-Identifier: Apache-2.0
"""Addresses of real interfaces: read, and followed as they come and go."""

from __future__ import annotations

from collections.abc import Iterator
from threading import Event

import pytest

from dataplane.node_ports import interface_addresses
from dataplane.sources.base import LoggingObserver
from dataplane.sources.interface_addresses import InterfaceAddressSource
from lab import Host, Lab

PATIENCE_SECONDS = 5.0


@pytest.fixture
def host() -> Iterator[Host]:
    """A machine with a loopback interface only."""
    with Lab() as lab:
        (machine,) = lab.add_hosts("addresses")
        yield machine


def test_addresses_of_both_families_are_read(host: Host) -> None:
    """All addresses come in canonical form, those of the loopback interface too."""
    host.ip("addr add 192.0.2.1/24 dev lo", "addr add 2001:db8::1/64 dev lo")

    with host.entered():
        found = interface_addresses()

    assert found == ("127.0.0.1", "192.0.2.1", "2001:db8::1", "::1")


@pytest.mark.parametrize("address", ["192.0.2.1/24", "2001:db8::1/64"])
def test_coming_and_going_addresses_are_told(host: Host, address: str) -> None:
    """A new address is told, and so is its removal."""
    changed = Event()
    with host.entered():
        source = InterfaceAddressSource(changed.set, LoggingObserver())
        source.start()
        # The thread opens its socket soon after its start: until then changes go unseen.
        while not changed.wait(0.05):
            host.ip("addr add 198.51.100.77/32 dev lo", "addr del 198.51.100.77/32 dev lo")
    try:
        changed.clear()
        host.ip(f"addr add {address} dev lo")
        assert changed.wait(PATIENCE_SECONDS)
        changed.clear()
        host.ip(f"addr del {address} dev lo")
        assert changed.wait(PATIENCE_SECONDS)
    finally:
        source.stop()
