# SPDX-License-Identifier: Apache-2.0
"""The fields of v1alpha1, all of them, with the value that an absent or null field has in Go.

Where kube-proxy takes a null for its default, that default stands here. Where it takes the zero
value for it (an empty address, ``0s``), the zero stands here and ``defaults`` replaces it.
"""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta, Struct, field

from dataplane.config.durations import Duration

API_VERSION: Final = "kubeproxy.config.k8s.io/v1alpha1"
KIND: Final = "KubeProxyConfiguration"

_LARGEST: Final = 2**31 - 1
_ZERO: Final = Duration(0)
_UNLIMITED_BUFFER: Final = "0"

Count = Annotated[int, Meta(ge=0, le=_LARGEST)]
MarkBit = Annotated[int, Meta(ge=0, le=31)]
OomScoreAdj = Annotated[int, Meta(ge=-1000, le=1000)]


class Section(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """An object of the document."""


class ClientConnection(Section, frozen=True):
    """How to reach the API server."""

    kubeconfig: str = ""
    accept_content_types: str = ""
    content_type: str = ""
    qps: float = 0.0
    burst: Count = 0


class LogRouting(Section, frozen=True):
    """Where a log format writes to."""

    split_stream: bool = False
    info_buffer_size: int | str = _UNLIMITED_BUFFER


class LogOptions(Section, frozen=True):
    """Options of each log format."""

    text: LogRouting = LogRouting()
    json: LogRouting = LogRouting()


class FileVerbosity(Section, frozen=True):
    """A log level for the files that match a pattern."""

    file_pattern: str
    verbosity: Count


class Logging(Section, frozen=True):
    """What is logged, and how."""

    format: str = ""
    flush_frequency: int | str = 0
    """Nanoseconds, or a duration."""
    verbosity: Count = 0
    vmodule: tuple[FileVerbosity, ...] = ()
    options: LogOptions = LogOptions()


class IPTables(Section, frozen=True):
    """Settings of mode iptables."""

    masquerade_bit: MarkBit = 14
    masquerade_all: bool = False
    localhost_node_ports: bool = True
    sync_period: Duration = _ZERO
    min_sync_period: Duration = _ZERO


class IPVS(Section, frozen=True):
    """Settings of mode ipvs."""

    sync_period: Duration = _ZERO
    min_sync_period: Duration = _ZERO
    scheduler: str = ""
    exclude_cidrs: tuple[str, ...] = field(default=(), name="excludeCIDRs")
    strict_arp: bool = field(default=False, name="strictARP")
    tcp_timeout: Duration = _ZERO
    tcp_fin_timeout: Duration = _ZERO
    udp_timeout: Duration = _ZERO


class NFTables(Section, frozen=True):
    """Settings of mode nftables."""

    masquerade_bit: MarkBit = 14
    masquerade_all: bool = False
    sync_period: Duration = _ZERO
    min_sync_period: Duration = _ZERO


class Winkernel(Section, frozen=True):
    """Settings of mode kernelspace."""

    network_name: str = ""
    source_vip: str = ""
    enable_dsr: bool = field(default=False, name="enableDSR")
    root_hns_endpoint_name: str = ""
    forward_health_check_vip: bool = False


class DetectLocal(Section, frozen=True):
    """What detectLocalMode needs to know."""

    bridge_interface: str = ""
    interface_name_prefix: str = ""


class Conntrack(Section, frozen=True):
    """Settings of the kernel's connection tracking; 0 leaves one as it is."""

    max_per_core: Count = 32768
    min: Count = 131072
    tcp_established_timeout: Duration = Duration(24 * 3600)
    tcp_close_wait_timeout: Duration = Duration(3600)
    tcp_be_liberal: bool = False
    udp_timeout: Duration = _ZERO
    udp_stream_timeout: Duration = _ZERO


class KubeProxyConfiguration(Section, frozen=True):
    """The document."""

    api_version: str = API_VERSION
    kind: str = KIND
    feature_gates: dict[str, bool] = field(default_factory=dict)
    client_connection: ClientConnection = ClientConnection()
    logging: Logging = Logging()
    hostname_override: str = ""
    bind_address: str = ""
    healthz_bind_address: str = ""
    metrics_bind_address: str = ""
    bind_address_hard_fail: bool = False
    enable_profiling: bool = False
    show_hidden_metrics_for_version: str = ""
    mode: str = ""
    iptables: IPTables = IPTables()
    ipvs: IPVS = IPVS()
    nftables: NFTables = NFTables()
    winkernel: Winkernel = Winkernel()
    detect_local_mode: str = ""
    detect_local: DetectLocal = DetectLocal()
    cluster_cidr: str = field(default="", name="clusterCIDR")
    node_port_addresses: tuple[str, ...] = ()
    oom_score_adj: OomScoreAdj = -999
    conntrack: Conntrack = Conntrack()
    config_sync_period: Duration = _ZERO
    port_range: str = ""
    windows_run_as_service: bool = False
