# SPDX-License-Identifier: Apache-2.0
"""The settings that a configuration amounts to."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path
from typing import Final

from dataplane.config.addresses import (
    ListenAddress,
    parse_listen_address,
    parse_network,
    split_networks,
)
from dataplane.config.types import Conntrack, KubeProxyConfiguration
from dataplane.settings import (
    PRIMARY,
    ConntrackSettings,
    LogSettings,
    ServerSettings,
    Settings,
    SourceSettings,
    SyncSettings,
)
from rules.context import DetectLocalMode, ProxyOptions

_DROP_BIT: Final = ProxyOptions().drop_bit


def settings_of(
    configuration: KubeProxyConfiguration,
    *,
    host_name: str,
    tcp_be_liberal: bool = False,
) -> Settings:
    """The settings that a checked ``configuration`` amounts to on the host ``host_name``.

    ``tcp_be_liberal`` tells whether the kernel takes out-of-window packets for valid already.
    """
    kubeconfig = configuration.client_connection.kubeconfig
    return Settings(
        source=SourceSettings(
            kubeconfig=Path(kubeconfig) if kubeconfig else None,
            node_name=(configuration.hostname_override or host_name).strip().lower(),
        ),
        options=_options(
            configuration,
            is_liberal=tcp_be_liberal or configuration.conntrack.tcp_be_liberal,
        ),
        node_address=_node_address(configuration.bind_address),
        node_port_addresses=tuple(
            text if text == PRIMARY else parse_network(text)
            for text in configuration.node_port_addresses
        ),
        sync=SyncSettings(
            min_sync_period_seconds=float(configuration.iptables.min_sync_period),
            sync_period_seconds=float(configuration.iptables.sync_period),
        ),
        servers=ServerSettings(
            healthz=_listen_address(configuration.healthz_bind_address),
            metrics=_listen_address(configuration.metrics_bind_address),
            bind_hard_fail=configuration.bind_address_hard_fail,
        ),
        conntrack=_conntrack(configuration.conntrack),
        oom_score_adj=configuration.oom_score_adj,
        logs=LogSettings(
            verbosity=configuration.logging.verbosity,
            is_json=configuration.logging.format == "json",
        ),
        configuration=configuration,
    )


def _options(configuration: KubeProxyConfiguration, *, is_liberal: bool) -> ProxyOptions:
    masquerade_bit = configuration.iptables.masquerade_bit
    mode = DetectLocalMode(configuration.detect_local_mode)
    # In other modes kube-proxy does not even check these networks.
    cluster_cidr = configuration.cluster_cidr if mode is DetectLocalMode.CLUSTER_CIDR else ""
    return ProxyOptions(
        masquerade_bit=masquerade_bit,
        # kube-proxy has no bit for drops, so an operator may have given this one away.
        drop_bit=_DROP_BIT if masquerade_bit != _DROP_BIT else _DROP_BIT - 1,
        masquerade_all=configuration.iptables.masquerade_all,
        detect_local_mode=mode,
        cluster_cidrs=tuple(map(parse_network, split_networks(cluster_cidr))),
        bridge_interface=configuration.detect_local.bridge_interface,
        interface_name_prefix=configuration.detect_local.interface_name_prefix,
        localhost_node_ports=configuration.iptables.localhost_node_ports,
        drop_invalid=not is_liberal,
    )


def _conntrack(conntrack: Conntrack) -> ConntrackSettings:
    return ConntrackSettings(
        max_per_core=conntrack.max_per_core,
        minimum=conntrack.min,
        tcp_established_timeout_seconds=float(conntrack.tcp_established_timeout),
        tcp_close_wait_timeout_seconds=float(conntrack.tcp_close_wait_timeout),
        tcp_be_liberal=conntrack.tcp_be_liberal,
        udp_timeout_seconds=float(conntrack.udp_timeout),
        udp_stream_timeout_seconds=float(conntrack.udp_stream_timeout),
    )


def _node_address(bind_address: str) -> str:
    """0.0.0.0 and :: stand for no address in particular."""
    address = ip_address(bind_address)
    return "" if address.is_unspecified else str(address)


def _listen_address(text: str) -> ListenAddress | None:
    return parse_listen_address(text) if text else None
