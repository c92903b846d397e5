# SPDX-License-Identifier: Apache-2.0
"""``run --init-only``: kernel settings ahead of an agent that may not make them."""

from __future__ import annotations

import pytest

from lab import Host
from tests.command.site import Site

UDP_TIMEOUT = "net.netfilter.nf_conntrack_udp_timeout"
ROUTE_LOCALNET = "net.ipv4.conf.all.route_localnet"
NOTHING_FOR_THE_WHOLE_MACHINE = "--conntrack-max-per-core=0"
"""The number of entries and buckets belongs to no namespace."""


@pytest.fixture(autouse=True)
def _settings(machine: Host) -> None:
    """The kernel's own settings."""
    machine.set_sysctl(UDP_TIMEOUT, "30")
    machine.set_sysctl(ROUTE_LOCALNET, "0")


def test_settings_are_made_and_nothing_else(site: Site) -> None:
    """The settings stand when the command ends, and no rule does."""
    done = site.run_to_its_end(
        "--init-only", NOTHING_FOR_THE_WHOLE_MACHINE, "--conntrack-udp-timeout=33s"
    )

    assert done.returncode == 0
    assert site.host.sysctl(UDP_TIMEOUT) == "33"
    assert site.host.sysctl(ROUTE_LOCALNET) == "1"
    assert not site.has_rules


def test_what_is_not_asked_for_is_left_alone(site: Site) -> None:
    """A time-out of zero, and node ports on localhost switched off, leave settings as they are."""
    done = site.run_to_its_end(
        "--init-only", NOTHING_FOR_THE_WHOLE_MACHINE, "--iptables-localhost-nodeports=false"
    )

    assert done.returncode == 0
    assert site.host.sysctl(UDP_TIMEOUT) == "30"
    assert site.host.sysctl(ROUTE_LOCALNET) == "0"
