# SPDX-License-Identifier: Apache-2.0
"""The values that kube-proxy takes for empty fields."""

from __future__ import annotations

import pytest

from dataplane.config.defaults import with_defaults
from dataplane.config.document import read_configuration
from dataplane.config.durations import Duration
from dataplane.config.types import IPTables, KubeProxyConfiguration
from tests.unit.dataplane.config.support import FILES


def test_empty_fields_get_kube_proxys_values() -> None:
    """The values are those of kube-proxy's reference, for a file as kubeadm writes it."""
    configuration = read_configuration(FILES / "kubeadm.conf")

    assert configuration.mode == "iptables"
    assert configuration.detect_local_mode == "ClusterCIDR"
    assert configuration.bind_address == "0.0.0.0"  # noqa: S104 - nothing binds to it
    assert configuration.healthz_bind_address == "0.0.0.0:10256"
    assert configuration.metrics_bind_address == "127.0.0.1:10249"
    assert configuration.oom_score_adj == -999
    assert configuration.config_sync_period == 900.0
    assert configuration.iptables.masquerade_bit == 14
    assert configuration.iptables.localhost_node_ports
    assert configuration.iptables.sync_period == 30.0
    assert configuration.iptables.min_sync_period == 1.0
    assert configuration.conntrack.max_per_core == 32768
    assert configuration.conntrack.min == 131072
    assert configuration.conntrack.tcp_established_timeout == 86400.0
    assert configuration.conntrack.tcp_close_wait_timeout == 3600.0
    assert configuration.conntrack.udp_timeout == 0.0
    assert configuration.client_connection.qps == 5
    assert configuration.client_connection.burst == 10
    assert configuration.logging.format == "text"
    assert configuration.logging.flush_frequency == "5s"


@pytest.mark.parametrize("bind_address", ["::", "fd00::1"])
def test_servers_listen_in_the_family_of_the_bind_address(bind_address: str) -> None:
    """With an IPv6 bindAddress the servers' addresses default to IPv6."""
    configuration = with_defaults(KubeProxyConfiguration(bind_address=bind_address))

    assert configuration.healthz_bind_address == "[::]:10256"
    assert configuration.metrics_bind_address == "[::1]:10249"


def test_servers_get_the_usual_port() -> None:
    """An address alone gets kube-proxy's port."""
    configuration = with_defaults(
        KubeProxyConfiguration(healthz_bind_address="192.0.2.1", metrics_bind_address="fd00::1")
    )

    assert configuration.healthz_bind_address == "192.0.2.1:10256"
    assert configuration.metrics_bind_address == "[fd00::1]:10249"


def test_given_values_stay() -> None:
    """Only empty fields are filled in, and doing it again changes nothing."""
    given = KubeProxyConfiguration(
        mode="ipvs", iptables=IPTables(sync_period=Duration(5), min_sync_period=Duration(2))
    )
    filled = with_defaults(given)

    assert filled.mode == "ipvs"
    assert filled.iptables == given.iptables
    assert with_defaults(filled) == filled
