# SPDX-License-Identifier: Apache-2.0
"""The Service of the story: its addresses, its chains, and the manifests that describe it."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import yaml

from lab import Target
from lab.plan import NODE

MANIFESTS = Path(__file__).parent / "manifests"
CLUSTER_CIDR = "10.244.0.0/16"
NODE_NAME = "demo-node"

CLUSTER_IP = Target("10.96.86.198", 80)
NODE_PORT = Target(NODE.ipv4, 30956)
INGRESS_IP = Target("198.51.100.0", 80)

LOAD_BALANCER_CHAIN = "KUBE-FW-LOLE4ISW44XBNF3G"
SERVICE_CHAIN = "KUBE-SVC-LOLE4ISW44XBNF3G"
ENDPOINT_CHAINS = ("KUBE-SEP-MQ4W7Q2CV67URU6Q", "KUBE-SEP-YUPMFTK3IHSQP2LT")
"""Of 10.244.1.2:80 and 10.244.2.6:80."""


def copy_manifests(folder: Path) -> Path:
    """Copy the manifests to a place where the story can edit them."""
    return Path(shutil.copytree(MANIFESTS, folder / "config" / "manifests"))


def limit_sources(manifests: Path, ranges: Sequence[str]) -> None:
    """Put ``loadBalancerSourceRanges`` into the Service's manifest, as an editor saves a file."""
    path = manifests / "service.yaml"
    service = yaml.safe_load(path.read_text())
    service["spec"]["loadBalancerSourceRanges"] = list(ranges)
    draft = path.with_suffix(".draft")
    draft.write_text(yaml.safe_dump(service, sort_keys=False))
    draft.replace(path)
