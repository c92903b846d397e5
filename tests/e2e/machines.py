# SPDX-License-Identifier: Apache-2.0
"""The machines of the cluster: nodes, pods that come when they are asked for, and the outside."""

from __future__ import annotations

from collections import defaultdict
from typing import Final

from lab import Host, Lab, Port
from lab.node import LAN, add_local_net, attach_node, attach_pod
from lab.plan import Pod
from tests.e2e.plan import CONTROL_ADDRESS, NODES, NodePlan

# Refusals are ICMP messages: the kernel would send only a few of them a second.
_LIMITS_OF_REFUSALS: Final = ("net.ipv4.icmp_ratelimit", "net.ipv6.icmp.ratelimit")
# A node that forwards a SYN before it serves the address would not translate a later one from the
# same port, for two minutes: with thousands of connections some do come from the same port.
_MEMORY_OF_SYNS: Final = "net.netfilter.nf_conntrack_tcp_timeout_syn_sent"
_FIRST_TABLE: Final = 100


class PodMachine:
    """A network namespace with the addresses of one pod, of use to one pod after another."""

    def __init__(self, host: Host, node: NodePlan, pod: Pod) -> None:
        self.host = host
        self.node = node
        self.address = pod.address
        self.ports: set[int] = set()
        """Where a server listens already."""


class Machines:
    """Three nodes, a client and a control machine on one local net, and pods."""

    def __init__(self, lab: Lab) -> None:
        """Build all but the pods."""
        self.lab = lab
        self.client, self.control, *nodes = lab.add_hosts(
            "client", "control", *(node.name for node in NODES)
        )
        self.nodes = {node.name: host for node, host in zip(NODES, nodes, strict=True)}
        self._free: dict[str, list[PodMachine]] = defaultdict(list)
        self._made: dict[str, int] = defaultdict(int)
        self._host_ports: set[tuple[str, int]] = set()
        add_local_net(self.client)
        on_control = Port(self.control, "eth0", (f"{CONTROL_ADDRESS}/24",))
        lab.connect(on_control, Port(self.client, "to-control"))
        self.client.ip(f"link set to-control master {LAN}")
        for node in NODES:
            self._attach(node)
        for node in NODES:
            self._route_pods_of(node)
        first = NODES[0].address
        self.client.ip(*_defaults_by(NODES[0], f"dev {LAN}"))
        # Both clients are routed by their own address, so that no rule needs to know of them.
        self.control.ip(f"route add default via {first.ipv4}")

    def take_pod(self, node: NodePlan) -> PodMachine:
        """A machine for a pod, for the caller alone."""
        free = self._free[node.name]
        return free.pop() if free else self._make_pod(node)

    def give_back(self, pod: PodMachine) -> None:
        """Let another pod have the machine."""
        self._free[pod.node.name].append(pod)

    def serve(self, pod: PodMachine, port: int) -> None:
        """Answer on a port of a pod's machine from now on."""
        if port not in pod.ports:
            self.lab.serve(pod.host, port)
            pod.ports.add(port)

    def serve_on_node(self, node: NodePlan, port: int) -> None:
        """Answer on a port of a node from now on."""
        if (node.name, port) not in self._host_ports:
            own = (node.address.ipv4, node.address.ipv6)
            self.lab.serve(self.nodes[node.name], port, addresses=own)
            self._host_ports.add((node.name, port))

    def _attach(self, node: NodePlan) -> None:
        host = self.nodes[node.name]
        attach_node(self.lab, host, self.client, node.address)
        for key in _LIMITS_OF_REFUSALS:
            host.set_sysctl(key, "0")
        host.set_sysctl(_MEMORY_OF_SYNS, "1")
        table = _FIRST_TABLE + node.number
        self.client.ip(*_defaults_by(node, f"dev {LAN} table {table}"))
        for family in ("-4", "-6"):
            rule = ["rule", "add", "fwmark", str(node.number), "lookup", str(table)]
            self.client.run(["ip", family, *rule])

    def _route_pods_of(self, node: NodePlan) -> None:
        others = [host for name, host in self.nodes.items() if name != node.name]
        for host in (self.client, *others):
            host.ip(
                f"route add {node.pod_networks.ipv4} via {node.address.ipv4}",
                f"route add {node.pod_networks.ipv6} via {node.address.ipv6}",
            )

    def _make_pod(self, node: NodePlan) -> PodMachine:
        self._made[node.name] += 1
        serial = self._made[node.name]
        pod = Pod(f"{node.name[-1]}-{serial}", node.pod_address(serial))
        (host,) = self.lab.add_hosts(pod.name)
        attach_pod(self.lab, self.nodes[node.name], host, pod)
        return PodMachine(host, node, pod)


def _defaults_by(node: NodePlan, where: str) -> tuple[str, str]:
    return (
        f"route add default via {node.address.ipv4} {where}",
        f"route add default via {node.address.ipv6} {where}",
    )
