# SPDX-License-Identifier: Apache-2.0
"""A cluster of one node with two pods, an outside client, and a real control plane."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kube.control_plane import ControlPlane
from kube.proxies import NODE_NAME, Proxies
from lab import NodeLab, Port, node_lab
from tests.apiserver.objects import node
from tests.kernel.node import KernelNode

POD_PORT: Final = 8080

_RIGHTS: Final = Path(__file__).parents[2] / "hack" / "manifests" / "rbac.yaml"
_CONTROL_ADDRESS: Final = "192.0.2.20"


@dataclass(frozen=True, slots=True)
class Cluster:
    """What the tests of one module share."""

    machines: NodeLab
    control_plane: ControlPlane
    node: KernelNode
    proxies: Proxies


@contextmanager
def running_cluster(programs: Path) -> Iterator[Cluster]:
    """Build the machines and start the control plane, with the Node registered."""
    with node_lab() as machines:
        (control,) = machines.lab.add_hosts("control")
        on_control = Port(control, "eth0", (f"{_CONTROL_ADDRESS}/24",))
        machines.lab.connect(on_control, Port(machines.client, "to-control"))
        machines.client.ip("link set to-control master lan")
        # Refusals are ICMP messages: the kernel would send only a few of them a second.
        machines.node.set_sysctl("net.ipv4.icmp_ratelimit", "0")
        machines.serve(POD_PORT)
        control_plane = ControlPlane(control, _CONTROL_ADDRESS, programs, machines.lab.folder)
        control_plane.start()
        control_plane.put(node(NODE_NAME))
        control_plane.kubectl("apply", "--server-side", f"--filename={_RIGHTS}")
        kernel = KernelNode(machines.node)
        proxies = Proxies(machines.node, control_plane, programs, machines.lab.folder)
        yield Cluster(machines, control_plane, kernel, proxies)
        # It would wait for its store, which ends at the same moment.
        control_plane.kill_apiserver()
