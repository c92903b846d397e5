# SPDX-License-Identifier: Apache-2.0
"""A stand for each test. Without root or legacy iptables this fails; nothing is skipped."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import NodeLab, node_lab
from tests.apiserver import FakeApiServer
from tests.command.site import Site
from tests.faults.stand import POD_PORT, Stand
from tests.kernel.traffic import LOCAL_PODS, REMOTE


@pytest.fixture(scope="package")
def machines() -> Iterator[NodeLab]:
    """A node with two pods, one of which asks, and a pod elsewhere."""
    with node_lab(LOCAL_PODS, remote_pods=(REMOTE,)) as machines:
        machines.serve(POD_PORT)
        yield machines


@pytest.fixture
def stand(machines: NodeLab, tmp_path: Path) -> Iterator[Stand]:
    """A node without rules, and an API server on its loopback interface."""
    site = Site(machines.node, tmp_path)
    with site.host.entered():
        server = FakeApiServer()
        server.come_back()
    yield Stand(site, server, machines)
    machines.node.end_processes()
    server.go_away()
    site.node.wipe()
