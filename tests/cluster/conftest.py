# SPDX-License-Identifier: Apache-2.0
"""A cluster for each module. Without the programs these fixtures fail; nothing is skipped."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from kube.programs import programs_folder
from tests.apiserver.objects import endpoint_slice, service
from tests.cluster.cluster import Cluster, running_cluster

_HERE: Final = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of this folder, whatever their file says."""
    for item in items:
        if _HERE in item.path.parents:
            item.add_marker(pytest.mark.cluster)


@pytest.fixture(scope="session")
def programs() -> Path:
    """The folder with the Kubernetes programs."""
    return programs_folder()


@pytest.fixture(scope="module")
def shared_cluster(programs: Path) -> Iterator[Cluster]:
    """A cluster whose control plane runs, with a Node and nothing else."""
    with running_cluster(programs) as cluster:
        yield cluster


@pytest.fixture
def cluster(shared_cluster: Cluster) -> Iterator[Cluster]:
    """A cluster with one Service and its endpoint, and a node that nobody has programmed yet."""
    shared_cluster.control_plane.put(service(), endpoint_slice())
    yield shared_cluster
    shared_cluster.machines.node.end_processes()
    shared_cluster.node.wipe()
    shared_cluster.control_plane.kubectl("delete", "services,endpointslices", "--all")
