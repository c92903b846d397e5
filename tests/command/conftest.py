# SPDX-License-Identifier: Apache-2.0
"""A site for each test. Without root or legacy iptables this fails; nothing is skipped."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import Host, Lab
from tests.apiserver import FakeApiServer
from tests.apiserver.objects import endpoint_slice, service
from tests.command.site import Site


@pytest.fixture(scope="module")
def machine() -> Iterator[Host]:
    """A machine without links, which is enough to be programmed."""
    with Lab() as lab:
        (machine,) = lab.add_hosts("node")
        yield machine


@pytest.fixture
def site(machine: Host, tmp_path: Path) -> Iterator[Site]:
    """A node without rules and without manifests; its processes end with the test."""
    site = Site(machine, tmp_path)
    yield site
    machine.end_processes()
    site.node.wipe()


@pytest.fixture
def server(site: Site) -> Iterator[FakeApiServer]:
    """An API server on the node's loopback, with a Service and its slice, but without the Node."""
    with site.host.entered():
        server = FakeApiServer()
        server.come_back()
    server.put(service())
    server.put(endpoint_slice())
    yield server
    server.go_away()
