# SPDX-License-Identifier: Apache-2.0
"""What the operator chose, decoded from the command line."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from rules.context import ProxyOptions

PRIMARY: Final = "primary"
"""In place of networks for node ports: the node's first address of each family."""


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
class Settings:
    """All of it."""

    source: SourceSettings
    options: ProxyOptions = field(default_factory=ProxyOptions)
    node_port_addresses: tuple[str, ...] = ()
    """Networks, or PRIMARY alone; every local address of a family that none is given for."""
    sync: SyncSettings = field(default_factory=SyncSettings)
