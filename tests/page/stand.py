# SPDX-License-Identifier: Apache-2.0
"""A node with an agent, services, and connections to them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from lab import node_lab
from lab.plan import Pod
from tests.address_plan import IPV4, IPV6, PLANS, AddressPlan
from tests.apiserver.objects import node, service
from tests.apiserver.store import JsonObject
from tests.command.http import METRICS_PORT, wait_until_verified
from tests.command.site import NODE_NAME, Site
from tests.faults.stand import POD_PORT, slice_of
from tests.kernel.traffic import LOCAL, OTHER_LOCAL, REMOTE, of

CART: Final = "10.96.20.4"
URL: Final = f"http://127.0.0.1:{METRICS_PORT}/status"

_CONNECT: Final = """
import math, socket, sys, time
host, _, port = sys.argv[1].rpartition(":")
pause = float(sys.argv[2])
while True:
    try:
        socket.create_connection((host, int(port)), timeout=1).close()
    except OSError:
        pass
    time.sleep(pause * (1 + math.sin(time.monotonic() / 9 + len(host)) / 2))
"""
"""Connects to an address until it is ended, now more often and now less, after so many seconds."""

_BUSY: Final = 0.04
_CALM: Final = 0.24
"""Even at its most often, twice as far apart as the busy ones at their least."""


@contextmanager
def busy_node(folder: Path) -> Iterator[Site]:
    """An agent that follows some services, to which a pod and an outsider connect."""
    with node_lab((LOCAL, OTHER_LOCAL), remote_pods=(REMOTE,)) as machines:
        machines.serve(POD_PORT)
        site = Site(machines.node, folder)
        write_manifests(site)
        start(site)
        for host, target, pause in (
            (machines.pods[OTHER_LOCAL.name], f"{IPV4.cluster_ip}:80", _BUSY),
            (machines.pods[LOCAL.name], f"{CART}:80", _CALM),
            (machines.client, f"{IPV4.ingress_ip}:80", _BUSY),
        ):
            host.popen(
                [sys.executable, "-c", _CONNECT, target, str(pause)],
                log=folder / "connections.log",
            )
        yield site


def start(site: Site) -> None:
    """Start the agent; drift stays for as long as a test looks at it."""
    site.start("--iptables-sync-period=5m").wait_for("synced ipv6")
    wait_until_verified(site.host)


def write_manifests(site: Site) -> None:
    """A load balancer, a plain Service, one with affinity, and one that nobody serves."""
    site.write("node.yaml", node(NODE_NAME))
    http = [{"name": "http", "port": 80, "protocol": "TCP", "nodePort": 30956}]
    vips = [IPV4.cluster_ip, IPV6.cluster_ip]
    web = service("web", type="LoadBalancer", clusterIP=vips[0], clusterIPs=vips, ports=http)
    web["status"] = {"loadBalancer": {"ingress": [{"ip": IPV4.ingress_ip}]}}
    dns = [{"name": "dns", "port": 53, "protocol": "UDP"}]
    site.write(
        "services.yaml",
        web,
        service("dns", "kube-system", clusterIPs=["10.96.0.53"], ports=dns),
        service("cart", "shop", clusterIPs=[CART], sessionAffinity="ClientIP"),
        service("nobody", "shop", clusterIPs=["10.96.20.9"]),
    )
    site.write(
        "slices.yaml",
        *(_slice(plan, "default/web", LOCAL, OTHER_LOCAL, REMOTE, port="http") for plan in PLANS),
        _slice(IPV4, "kube-system/dns", OTHER_LOCAL, port="dns", protocol="UDP"),
        _slice(IPV4, "shop/cart", LOCAL, OTHER_LOCAL),
    )


def _slice(
    plan: AddressPlan, owner: str, *pods: Pod, port: str = "", protocol: str = "TCP"
) -> JsonObject:
    """The slice of a Service whose pods listen on their one port."""
    namespace, _, name = owner.partition("/")
    one = slice_of(plan, name)
    one["metadata"]["namespace"] = namespace
    one["ports"] = [{"name": port, "port": POD_PORT, "protocol": protocol}]
    one["endpoints"] = [
        {
            "addresses": [of(plan, pod.address)],
            "nodeName": "node-b" if pod is REMOTE else NODE_NAME,
        }
        for pod in pods
    ]
    return one
