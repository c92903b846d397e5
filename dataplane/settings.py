# SPDX-License-Identifier: Apache-2.0
"""What the operator chose, decoded from flags and the configuration file."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Final

from dataplane.config.addresses import ListenAddress
from dataplane.config.types import KubeProxyConfiguration
from rules.context import ProxyOptions

PRIMARY: Final = "primary"
"""In place of networks for node ports: the node's first address of each family."""
PROC_SYS: Final = Path("/proc/sys")
"""Where a kernel's settings are, unless told otherwise."""


class AffinityChoice(Enum):
    """Where session affinity is to remember clients."""

    AUTO = "auto"
    """In sets, where the kernel has them."""
    IPSET = "ipset"
    RECENT = "recent"


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceSettings:
    """Where Services, EndpointSlices and the Node come from."""

    manifests: tuple[Path, ...] = ()
    """Files and folders; a cluster if empty."""
    kubeconfig: Path | None = None
    """In-cluster configuration if there is none and no ``master`` either."""
    master: str = ""
    """URL of the API server; overrides the one in the kubeconfig."""
    node_name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncSettings:
    """When and how the kernel is programmed."""

    min_sync_period_seconds: float = 1.0
    """Rest between two syncs, whatever changes."""
    sync_period_seconds: float = 30.0
    """After this long without a sync, the kernel's state is verified and repaired."""
    lock_timeout_seconds: float = 5.0
    """How long to wait for the xtables lock."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """Where the agent's own servers listen."""

    healthz: ListenAddress | None = None
    """Of ``/healthz`` and ``/livez``; None for no such server."""
    metrics: ListenAddress | None = None
    """Of ``/metrics``, ``/proxyMode`` and ``/configz``; None for no such server."""
    bind_hard_fail: bool = False
    """Stop if an address cannot be had, rather than go on without the server."""
    metrics_per_service: int = 0
    """Services with metrics of their own; zero for no metrics of Services."""
    has_status_page: bool = False
    """Serve ``/status`` besides the metrics."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConntrackSettings:
    """The kernel's connection tracking; zero leaves a setting as it is."""

    max_per_core: int = 0
    """Entries for each core; zero leaves the limit as it is, whatever ``minimum`` says."""
    minimum: int = 0
    """Entries at least."""
    tcp_established_timeout_seconds: float = 0.0
    tcp_close_wait_timeout_seconds: float = 0.0
    tcp_be_liberal: bool = False
    """Set it; if False it is left as it is."""
    udp_timeout_seconds: float = 0.0
    udp_stream_timeout_seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSettings:
    """What is logged, and how."""

    verbosity: int = 0
    is_json: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All of it."""

    source: SourceSettings
    options: ProxyOptions = field(default_factory=ProxyOptions)
    affinity: AffinityChoice = AffinityChoice.AUTO
    """What of it can be is asked of the kernel; until then the options have what it means where
    there is none."""
    node_address: str = ""
    """In place of the Node's first address of the same family; empty for none."""
    node_port_addresses: tuple[str, ...] = ()
    """Networks, or PRIMARY alone; every local address of a family that none is given for."""
    sync: SyncSettings = field(default_factory=SyncSettings)
    servers: ServerSettings = field(default_factory=ServerSettings)
    conntrack: ConntrackSettings = field(default_factory=ConntrackSettings)
    proc_sys: Path = PROC_SYS
    """Where the kernel's settings are made."""
    configuration_file: Path | None = None
    """What ``configuration`` was read from, if it was."""
    oom_score_adj: int | None = None
    """None leaves it as it is."""
    logs: LogSettings = field(default_factory=LogSettings)
    configuration: KubeProxyConfiguration = field(default_factory=KubeProxyConfiguration)
    """What the rest was decoded from, for ``/configz`` and ``--write-config-to``."""
    remarks: tuple[str, ...] = ()
    """What was accepted without effect, to be logged once."""
