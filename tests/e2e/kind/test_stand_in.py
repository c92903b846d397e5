# SPDX-License-Identifier: Apache-2.0
"""Scenarios through ``kubectl exec`` and real manifests of pods, where there is no Docker."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from kube.control_plane import ADMINISTRATOR
from kube.programs import programs_folder
from tests.e2e.backend import Backend
from tests.e2e.cluster import Cluster
from tests.e2e.kind.cluster import kind_cluster
from tests.e2e.kind.stand_in import StandIn
from tests.e2e.loading import load_folder
from tests.e2e.running import run_scenario

_SCENARIOS: Final = {one.name: one for one in load_folder(Path(__file__).parents[1] / "scenarios")}


@pytest.fixture(scope="module")
def on_stand_in(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    """The cluster of network namespaces, as if kind had made it."""
    folder = tmp_path_factory.mktemp("kind")
    stand_in = StandIn(cluster, folder, programs_folder() / "kubectl")
    access = cluster.control_plane.kubeconfig(ADMINISTRATOR)
    with pytest.MonkeyPatch.context() as patch, stand_in.running():
        patch.setenv("PATH", f"{stand_in.programs}:{os.environ['PATH']}")
        patch.setenv("KUBECONFIG", str(access))
        with cluster.machines.control.entered(), kind_cluster("image", folder) as backend:
            yield backend


@pytest.mark.parametrize(
    "name", ["cluster-ip", "cluster-ip-ipv6", "readiness", "node-port", "host-network"]
)
def test_scenarios_of_a_stand_in(on_stand_in: Backend, name: str, tmp_path: Path) -> None:
    """What a scenario proves on the cluster of namespaces, it proves as on kind."""
    run_scenario(_SCENARIOS[name], on_stand_in, tmp_path)
