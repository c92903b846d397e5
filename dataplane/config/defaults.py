# SPDX-License-Identifier: Apache-2.0
"""What kube-proxy takes for fields that are empty or zero."""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from dataplane.config.addresses import with_port
from dataplane.config.durations import Duration
from dataplane.config.types import ClientConnection, KubeProxyConfiguration, Logging
from rules.context import DetectLocalMode

MODE: Final = "iptables"
DETECT_LOCAL_MODE: Final = DetectLocalMode.CLUSTER_CIDR.value
BIND_ADDRESS: Final = "0.0.0.0"  # noqa: S104 - nothing binds to it
HEALTHZ_PORT: Final = 10256
METRICS_PORT: Final = 10249

_SECOND: Final = Duration(1)
_HALF_MINUTE: Final = Duration(30)


def with_defaults(given: KubeProxyConfiguration) -> KubeProxyConfiguration:
    """``given`` with kube-proxy's defaults in place of empty fields."""
    bind_address = given.bind_address or BIND_ADDRESS
    any_host, loopback = ("[::]", "[::1]") if ":" in bind_address else ("0.0.0.0", "127.0.0.1")  # noqa: S104 - as kube-proxy
    return replace(
        given,
        bind_address=bind_address,
        healthz_bind_address=with_port(
            given.healthz_bind_address or f"{any_host}:{HEALTHZ_PORT}", HEALTHZ_PORT
        ),
        metrics_bind_address=with_port(
            given.metrics_bind_address or f"{loopback}:{METRICS_PORT}", METRICS_PORT
        ),
        client_connection=_client_connection(given.client_connection),
        logging=_logging(given.logging),
        mode=given.mode or MODE,
        iptables=replace(
            given.iptables,
            sync_period=given.iptables.sync_period or _HALF_MINUTE,
            min_sync_period=given.iptables.min_sync_period or _SECOND,
        ),
        ipvs=replace(given.ipvs, sync_period=given.ipvs.sync_period or _HALF_MINUTE),
        nftables=replace(
            given.nftables,
            sync_period=given.nftables.sync_period or _HALF_MINUTE,
            min_sync_period=given.nftables.min_sync_period or _SECOND,
        ),
        detect_local_mode=given.detect_local_mode or DETECT_LOCAL_MODE,
        config_sync_period=given.config_sync_period or Duration(15 * 60),
    )


def _client_connection(given: ClientConnection) -> ClientConnection:
    return replace(
        given,
        content_type=given.content_type or "application/vnd.kubernetes.protobuf",
        qps=given.qps or 5.0,
        burst=given.burst or 10,
    )


def _logging(given: Logging) -> Logging:
    flush_frequency = "5s" if given.flush_frequency in (0, "", "0", "0s") else given.flush_frequency
    return replace(given, format=given.format or "text", flush_frequency=flush_frequency)
