# SPDX-License-Identifier: Apache-2.0
"""A Kubernetes node with its pods, its outside world and, if wanted, a second node.

::

    web-1 (pod) ---- veth-web-1 +------+ eth0          +--------+
                                | node |------- lan ---| client |  203.0.113.10, 203.0.113.66
    web-2 (pod) ---- veth-web-2 +------+        |      +--------+
                                                |
    web-3 (pod) ---- veth-web-3 +--------+ eth0 |
                                | remote |------+
                                +--------+

Pods are routed point to point, as Calico does it, so that pods of one node can have addresses of
any range. The client sends what it has no route for, virtual addresses included, to the node.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType

from lab.host import Host
from lab.machines import Lab, Port, set_up
from lab.plan import (
    CLIENT,
    GATEWAY,
    NODE,
    OTHER_CLIENT,
    POD_1,
    POD_2,
    REMOTE_NODE,
    ROUTER,
    DualStack,
    Pod,
)

LAN = "lan"
"""The switch of the local net: a device of the outside machine."""
_SETTINGS_OF_A_NODE = (
    ("net.ipv4.ip_forward", "1"),
    ("net.ipv6.conf.all.forwarding", "1"),
    # Replies to masqueraded traffic may take another way than the question did.
    ("net.ipv4.conf.all.rp_filter", "0"),
    ("net.ipv4.conf.default.rp_filter", "0"),
    # Client and remote pods share a link: redirects would take the node out of the way.
    ("net.ipv4.conf.all.send_redirects", "0"),
    ("net.ipv4.conf.default.send_redirects", "0"),
)


@dataclass(frozen=True, slots=True)
class NodeLab:
    """The machines of a running node lab."""

    lab: Lab
    node: Host
    client: Host
    pods: Mapping[str, Host]
    """By name, those of the remote node included."""
    remote: Host | None
    """The other node, if pods of one were asked for."""

    def serve(self, port: int) -> None:
        """Start an echo server in each pod."""
        for pod in self.pods.values():
            self.lab.serve(pod, port)


@contextmanager
def node_lab(
    pods: Sequence[Pod] = (POD_1, POD_2), *, remote_pods: Sequence[Pod] = ()
) -> Iterator[NodeLab]:
    """Build a node with ``pods``, an outside client, and a second node if it has pods."""
    with Lab() as lab:
        names = [pod.name for pod in (*pods, *remote_pods)]
        node, client, *hosts = lab.add_hosts("node", "client", *names)
        machines = dict(zip(names, hosts, strict=True))
        add_local_net(client)
        attach_node(lab, node, client, NODE)
        client.ip(
            f"route add default via {NODE.ipv4} src {CLIENT.ipv4}",
            f"route add default via {NODE.ipv6} src {CLIENT.ipv6}",
        )
        for pod in pods:
            attach_pod(lab, node, machines[pod.name], pod)
        remote = None
        if remote_pods:
            (remote,) = lab.add_hosts("remote")
            attach_node(lab, remote, client, REMOTE_NODE)
            for pod in remote_pods:
                attach_pod(lab, remote, machines[pod.name], pod)
            _route_pods(node, remote_pods, via=REMOTE_NODE)
            _route_pods(remote, pods, via=NODE)
        yield NodeLab(lab, node, client, MappingProxyType(machines), remote)


def add_local_net(client: Host) -> None:
    """Make the local net's switch and router of ``client``, and give it its outside addresses."""
    client.ip(f"link add {LAN} type bridge mcast_snooping 0")
    set_up(Port(client, LAN, lan_addresses(ROUTER) + host_addresses(CLIENT, OTHER_CLIENT)))


def attach_node(lab: Lab, node: Host, client: Host, address: DualStack) -> None:
    """Make a router of ``node`` and put it on the local net, whose switch is in ``client``."""
    for key, value in _SETTINGS_OF_A_NODE:
        node.set_sysctl(key, value)
    port = f"to-{node.name}"
    lab.connect(Port(node, "eth0", lan_addresses(address)), Port(client, port))
    client.ip(f"link set {port} master {LAN}")
    node.ip(f"route add default via {ROUTER.ipv4}", f"route add default via {ROUTER.ipv6}")


def attach_pod(lab: Lab, node: Host, pod: Host, spec: Pod) -> None:
    """Put a pod on its node."""
    device = f"veth-{spec.name}"
    lab.connect(
        Port(pod, "eth0", host_addresses(spec.address)),
        Port(node, device, host_addresses(GATEWAY)),
    )
    for family in (GATEWAY.ipv4, GATEWAY.ipv6):
        pod.ip(f"route add {family} dev eth0", f"route add default via {family} dev eth0")
    node.ip(
        f"route add {spec.address.ipv4} dev {device}", f"route add {spec.address.ipv6} dev {device}"
    )


def _route_pods(node: Host, pods: Iterable[Pod], *, via: DualStack) -> None:
    for pod in pods:
        node.ip(
            f"route add {pod.address.ipv4} via {via.ipv4}",
            f"route add {pod.address.ipv6} via {via.ipv6}",
        )


def lan_addresses(address: DualStack) -> tuple[str, ...]:
    """For a machine on the local net."""
    return (f"{address.ipv4}/24", f"{address.ipv6}/64")


def host_addresses(*addresses: DualStack) -> tuple[str, ...]:
    """For a machine that is alone in its networks."""
    return tuple(
        text for address in addresses for text in (f"{address.ipv4}/32", f"{address.ipv6}/128")
    )
