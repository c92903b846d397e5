# SPDX-License-Identifier: Apache-2.0
"""Asking the servers of an agent on a machine."""

from __future__ import annotations

import socket
from http.client import HTTPConnection
from typing import Final, NamedTuple

from lab import Host, wait_until
from rules.ir import Family

HEALTHZ_PORT: Final = 10256
METRICS_PORT: Final = 10249
TIMEOUT_SECONDS: Final = 5.0


class Answer(NamedTuple):
    """What a server said."""

    status: int
    body: str


def get(host: Host, port: int, path: str, *, address: str = "127.0.0.1") -> Answer:
    """Ask a server on the machine; waits for it to listen."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET

    def is_open() -> bool:
        with host.entered(), socket.socket(family) as probe:
            return probe.connect_ex((address, port)) == 0

    wait_until(f"port {port} is open", is_open)
    with host.entered():
        connection = HTTPConnection(address, port, timeout=TIMEOUT_SECONDS)
        connection.request("GET", path)
        response = connection.getresponse()
        answer = Answer(response.status, response.read().decode())
        connection.close()
    return answer


def wait_until_verified(host: Host) -> None:
    """Wait for the first look at all rules, which an agent takes soon after its first sync."""
    looks = "kubeproxy_sync_full_proxy_rules_duration_seconds_count"

    def is_verified() -> bool:
        lines = get(host, METRICS_PORT, "/metrics").body.splitlines()
        return sum(line.startswith(looks) and not line.endswith(" 0.0") for line in lines) == len(
            Family
        )

    wait_until("all rules were looked at", is_verified)
