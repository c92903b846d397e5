# SPDX-License-Identifier: Apache-2.0
"""The cases, and the tables that their manifests give."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import yaml

from dataplane.sources.base import LoggingObserver
from dataplane.sources.manifests import load_manifests
from dataplane.state import ClusterState, Picture
from rules.affinity import AffinityBackend
from rules.build import build
from rules.context import DetectLocalMode, ProxyOptions, family_context
from rules.ir import Family, Tables
from tests.address_plan import IPV4, IPV6, THIS_NODE

CASES = Path(__file__).parent / "cases"


def options_of(case: Path) -> tuple[ProxyOptions, tuple[str, ...]]:
    """The case's options, and the local addresses that node ports are restricted to."""
    path = case / "options.yaml"
    fields = yaml.safe_load(path.read_text()) if path.exists() else {}
    addresses = tuple(fields.pop("node_port_addresses", ()))
    if "detect_local_mode" in fields:
        fields["detect_local_mode"] = DetectLocalMode(fields["detect_local_mode"])
    if "affinity_backend" in fields:
        fields["affinity_backend"] = AffinityBackend(fields["affinity_backend"])
    options = ProxyOptions(cluster_cidrs=(IPV4.cluster_cidr, IPV6.cluster_cidr), **fields)
    return options, addresses


def picture_of(manifest: Path) -> Picture:
    """What the objects in a file amount to on this node; all of them must be usable."""
    state = ClusterState(on_change=lambda: None)
    manifests = load_manifests([manifest], THIS_NODE, LoggingObserver())
    assert manifests.errors == (), "the case would silently test less than it says"
    manifests.deliver(state)
    picture = state.picture()
    assert picture
    return picture


def tables_of(case: Path) -> Mapping[Family, Tables]:
    """The tables that the manifests of a case give."""
    picture = picture_of(case / "input.yaml")
    options, addresses = options_of(case)
    return {
        family: build(picture.services, family_context(options, picture.node, family, addresses))
        for family in Family
    }
