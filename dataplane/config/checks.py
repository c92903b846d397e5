# SPDX-License-Identifier: Apache-2.0
"""What kube-proxy refuses in a configuration, and what this agent cannot do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from dataplane.config.addresses import (
    parse_address,
    parse_listen_address,
    parse_network,
    split_networks,
)
from dataplane.config.defaults import MODE
from dataplane.config.durations import Duration
from dataplane.config.errors import Problem
from dataplane.config.types import IPTables, KubeProxyConfiguration
from dataplane.settings import PRIMARY
from rules.addresses import family_of
from rules.context import DetectLocalMode

LOG_FORMATS: Final = ("text", "json")

_LONGEST_INTERFACE_NAME: Final = 15


def problems_of(configuration: KubeProxyConfiguration) -> Iterator[Problem]:
    """All that is wrong with ``configuration``, in which defaults are filled in."""
    yield from _mode(configuration.mode)
    yield from _iptables(configuration.iptables)
    yield from _addresses(configuration)
    if configuration.detect_local_mode == DetectLocalMode.CLUSTER_CIDR.value:
        yield from _cluster_networks(configuration.cluster_cidr)
    yield from _node_port_addresses(configuration.node_port_addresses)
    yield from _local_detection(configuration)
    yield from _timeouts(configuration)
    if configuration.logging.format not in LOG_FORMATS:
        yield Problem("logging.format", f"must be one of {', '.join(LOG_FORMATS)}")
    if configuration.hostname_override and not configuration.hostname_override.strip():
        yield Problem("hostnameOverride", "must be more than white space")


def _mode(mode: str) -> Iterator[Problem]:
    if mode != MODE:
        reason = f"{mode!r} is not supported: this agent programs iptables only"
        yield Problem("mode", reason)


def _iptables(iptables: IPTables) -> Iterator[Problem]:
    if iptables.sync_period <= 0:
        yield Problem("iptables.syncPeriod", "must be longer than 0s")
    elif iptables.min_sync_period > iptables.sync_period:
        reason = f"must not be longer than iptables.syncPeriod, {iptables.sync_period}"
        yield Problem("iptables.minSyncPeriod", reason)
    if iptables.min_sync_period < 0:
        yield Problem("iptables.minSyncPeriod", "must not be negative")


def _addresses(configuration: KubeProxyConfiguration) -> Iterator[Problem]:
    try:
        parse_address(configuration.bind_address)
    except ValueError as error:
        yield Problem("bindAddress", str(error))
    for path, text in (
        ("healthzBindAddress", configuration.healthz_bind_address),
        ("metricsBindAddress", configuration.metrics_bind_address),
    ):
        try:
            if text:
                parse_listen_address(text)
        except ValueError as error:
            yield Problem(path, str(error))


def _cluster_networks(cluster_cidr: str) -> Iterator[Problem]:
    networks = split_networks(cluster_cidr)
    problems = list(_networks("clusterCIDR", networks))
    yield from problems
    if not problems and len({family_of(network) for network in networks}) != len(networks):
        yield Problem("clusterCIDR", "must have at most one network of each family")


def _node_port_addresses(allowed: tuple[str, ...]) -> Iterator[Problem]:
    if allowed == (PRIMARY,):
        return
    if PRIMARY in allowed:
        yield Problem("nodePortAddresses", f"cannot have both {PRIMARY!r} and networks")
    networks = (text for text in allowed if text != PRIMARY)
    yield from _networks("nodePortAddresses", networks)


def _networks(path: str, texts: Iterable[str]) -> Iterator[Problem]:
    for text in texts:
        try:
            parse_network(text)
        except ValueError as error:
            yield Problem(path, str(error))


def _local_detection(configuration: KubeProxyConfiguration) -> Iterator[Problem]:
    modes = [mode.value for mode in DetectLocalMode]
    mode = configuration.detect_local_mode
    if mode not in modes:
        yield Problem("detectLocalMode", f"{mode!r} must be one of {', '.join(modes)}")
    for path, name, needed_by in (
        (
            "detectLocal.bridgeInterface",
            configuration.detect_local.bridge_interface,
            DetectLocalMode.BRIDGE_INTERFACE,
        ),
        (
            "detectLocal.interfaceNamePrefix",
            configuration.detect_local.interface_name_prefix,
            DetectLocalMode.INTERFACE_NAME_PREFIX,
        ),
    ):
        if not name and mode == needed_by.value:
            yield Problem(path, f"is needed by detectLocalMode {mode}")
        if len(name.encode()) > _LONGEST_INTERFACE_NAME:
            yield Problem(path, f"{name!r} is longer than {_LONGEST_INTERFACE_NAME} bytes")


def _timeouts(configuration: KubeProxyConfiguration) -> Iterator[Problem]:
    conntrack = configuration.conntrack
    timeouts: dict[str, Duration] = {
        "conntrack.tcpEstablishedTimeout": conntrack.tcp_established_timeout,
        "conntrack.tcpCloseWaitTimeout": conntrack.tcp_close_wait_timeout,
        "conntrack.udpTimeout": conntrack.udp_timeout,
        "conntrack.udpStreamTimeout": conntrack.udp_stream_timeout,
    }
    for path, timeout in timeouts.items():
        if timeout < 0:
            yield Problem(path, "must not be negative")
    if configuration.config_sync_period <= 0:
        yield Problem("configSyncPeriod", "must be longer than 0s")
