# SPDX-License-Identifier: Apache-2.0
"""Whose requests the status page answers."""

from __future__ import annotations

import pytest

from dataplane.status.guard import is_own_host

NODE = "Node-A.example"


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1:10249",
        "127.0.0.1",
        "localhost:8001",
        "LOCALHOST",
        "[::1]:10249",
        "192.0.2.11:10249",
        "node-a.example:10249",
    ],
)
def test_hosts_that_mean_this_node(host: str) -> None:
    """Addresses, localhost and the node's name are answered, with any port."""
    assert is_own_host(host, NODE)


@pytest.mark.parametrize(
    "host",
    [
        "",
        "evil.example",
        "evil.example:10249",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "evil.example@127.0.0.1",
        "[::1].evil.example",
        "node-a",
        "[",
    ],
)
def test_hosts_that_anybody_could_let_point_here(host: str) -> None:
    """Any other name may be a stranger's, whose page asks by a browser of this node."""
    assert not is_own_host(host, NODE)
