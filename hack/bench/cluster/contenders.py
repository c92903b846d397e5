# SPDX-License-Identifier: Apache-2.0
"""The programs that are compared, with the settings that they are shipped with."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from subprocess import Popen
from typing import Final

from bench.cluster.kernel_view import LEGACY, NFTABLES, KernelView
from bench.cluster.site import Machines, Site
from bench.objects import CLUSTER_CIDR
from kube.proxies import Proxies

_NODE_NAME: Final = "node-0"
_COMMON: Final = (f"--cluster-cidr={CLUSTER_CIDR}",)


class Contender(Enum):
    """A program with the flags that make it what is compared; by its name in reports."""

    DATAPLANE = "dataplane"
    DATAPLANE_CLASSIC = "dataplane-classic"
    """With the classic layout at any size."""
    KUBE_PROXY = "kube-proxy"
    """In iptables mode, by which all others are measured."""
    KUBE_PROXY_NFTABLES = "kube-proxy-nftables"

    @property
    def is_ours(self) -> bool:
        """Whether it is our agent."""
        return self in (Contender.DATAPLANE, Contender.DATAPLANE_CLASSIC)

    @property
    def view(self) -> KernelView:
        """How its rules are looked at."""
        return NFTABLES if self is Contender.KUBE_PROXY_NFTABLES else LEGACY


_FLAGS: Final = {
    Contender.DATAPLANE: (),
    Contender.DATAPLANE_CLASSIC: ("--large-cluster-mode=never",),
    Contender.KUBE_PROXY: (),
    Contender.KUBE_PROXY_NFTABLES: ("--proxy-mode=nftables",),
}


class Starter:
    """Starts one contender on one node, again and again."""

    def __init__(self, contender: Contender, site: Site, machines: Machines) -> None:
        self._contender = contender
        self._proxies = Proxies(
            machines.node,
            site.control_plane,
            site.programs,
            machines.folder,
            name=_NODE_NAME,
            agent=site.agent,
        )

    @property
    def log(self) -> Path:
        """What it writes."""
        is_ours = self._contender.is_ours
        return self._proxies.agent_log if is_ours else self._proxies.kube_proxy_log

    def start(self) -> Popen[bytes]:
        """Start it."""
        is_ours = self._contender.is_ours
        start = self._proxies.start_agent if is_ours else self._proxies.start_kube_proxy
        return start(*_COMMON, *_FLAGS[self._contender])
