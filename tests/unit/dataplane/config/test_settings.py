# SPDX-License-Identifier: Apache-2.0
"""The settings that configurations amount to."""

from __future__ import annotations

from pathlib import Path

import pytest

from dataplane.config.addresses import ListenAddress
from dataplane.config.document import read_configuration
from dataplane.config.settings import settings_of
from dataplane.settings import PRIMARY, LogSettings, ServerSettings, SyncSettings
from rules.context import DetectLocalMode, ProxyOptions
from tests.unit.dataplane.config.support import FILES, configuration


def test_a_file_of_kubeadm_amounts_to_a_working_node() -> None:
    """The file of kubeadm, as it is, gives kube-proxy's usual behaviour."""
    given = read_configuration(FILES / "kubeadm.conf")
    settings = settings_of(given, host_name="Node-A ")

    assert settings.configuration is given
    assert settings.source.kubeconfig == Path("/var/lib/kube-proxy/kubeconfig.conf")
    assert settings.source.node_name == "node-a"
    assert settings.options == ProxyOptions(cluster_cidrs=("10.244.0.0/16", "fd00:10:244::/56"))
    assert settings.node_address == ""
    assert settings.node_port_addresses == ()
    assert settings.sync == SyncSettings(min_sync_period_seconds=1, sync_period_seconds=30)
    assert settings.servers == ServerSettings(
        healthz=ListenAddress("0.0.0.0", 10256),  # noqa: S104 - nothing binds to it here
        metrics=ListenAddress("127.0.0.1", 10249),
    )
    assert settings.conntrack.max_per_core == 32768
    assert settings.conntrack.tcp_established_timeout_seconds == 86400
    assert settings.oom_score_adj == -999
    assert settings.logs == LogSettings()


def test_every_field_that_matters_gets_through() -> None:
    """Values that are not the defaults reach the settings that they belong to."""
    settings = settings_of(read_configuration(FILES / "every-field.yaml"), host_name="other")

    assert settings.source.kubeconfig == Path("/etc/kubeconfig")
    assert settings.source.node_name == "node-a"
    assert settings.options == ProxyOptions(
        masquerade_bit=15,
        drop_bit=14,
        masquerade_all=True,
        detect_local_mode=DetectLocalMode.BRIDGE_INTERFACE,
        bridge_interface="br0",
        interface_name_prefix="veth",
        localhost_node_ports=False,
        drop_invalid=False,
    )
    assert settings.node_address == "192.0.2.1"
    assert settings.node_port_addresses == ("192.0.2.0/24",)
    assert settings.sync == SyncSettings(min_sync_period_seconds=0.25, sync_period_seconds=90)
    assert settings.servers == ServerSettings(
        healthz=ListenAddress("192.0.2.1", 1),
        metrics=ListenAddress("2001:db8::1", 2),
        bind_hard_fail=True,
    )
    assert settings.conntrack.max_per_core == 0
    assert settings.conntrack.tcp_be_liberal
    assert settings.conntrack.tcp_established_timeout_seconds == 3 * 3600
    assert settings.conntrack.tcp_close_wait_timeout_seconds == 120
    assert settings.conntrack.udp_stream_timeout_seconds == 4
    assert settings.conntrack.udp_timeout_seconds == 5
    assert settings.oom_score_adj == -998
    assert settings.logs == LogSettings(verbosity=4, is_json=True)


def test_without_a_kubeconfig_the_cluster_is_the_one_around() -> None:
    """No path is no file, not the file with the empty name."""
    assert settings_of(configuration(), host_name="a").source.kubeconfig is None


@pytest.mark.parametrize(("is_liberal", "drops"), [(True, False), (False, True)])
def test_a_liberal_kernel_has_no_invalid_packets_dropped(*, is_liberal: bool, drops: bool) -> None:
    """What the kernel is set to already counts as if the configuration asked for it."""
    settings = settings_of(configuration(), host_name="a", tcp_be_liberal=is_liberal)

    assert settings.options.drop_invalid is drops


@pytest.mark.parametrize("text", ["0.0.0.0", "::"])  # noqa: S104 - nothing binds to it
def test_no_address_in_particular_overrides_none(text: str) -> None:
    """Only a bindAddress that is an address of a node stands for the Node's."""
    assert settings_of(configuration(bindAddress=text), host_name="a").node_address == ""


def test_node_ports_may_be_for_the_primary_address() -> None:
    """The keyword of nodePortAddresses is kept as it is."""
    settings = settings_of(configuration(nodePortAddresses=["primary"]), host_name="a")

    assert settings.node_port_addresses == (PRIMARY,)
