# SPDX-License-Identifier: Apache-2.0
"""The canary: a Service that is connected to, to see when a contender has followed a write."""

from __future__ import annotations

import socket
from dataclasses import replace
from typing import Final

from bench.objects import TARGET_PORT
from lab import Host
from rules.ir import Family
from rules.model import (
    EndpointSlice,
    ObjectKey,
    Service,
    ServicePort,
    ServiceType,
    SliceEndpoint,
    SlicePort,
)

CANARY: Final = Service(
    ObjectKey("default", "canary"),
    ServiceType.CLUSTER_IP,
    (ServicePort("", "tcp", 80, 0),),
    ("10.111.0.1",),
)
CANARY_SLICE: Final = EndpointSlice(
    ObjectKey("default", "canary-1"),
    CANARY.key,
    Family.IPV4,
    (SlicePort("", TARGET_PORT),),
    (SliceEndpoint("10.128.0.1", "node-1"),),
)
EMPTY_CANARY_SLICE: Final = replace(CANARY_SLICE, endpoints=())

_CONNECT_SECONDS: Final = 0.1


def canary_answers(client: Host) -> bool:
    """Whether ``client`` can connect to it now."""
    with client.entered(), socket.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
        sock.settimeout(_CONNECT_SECONDS)
        return sock.connect_ex((CANARY.cluster_ips[0], CANARY.ports[0].port)) == 0
