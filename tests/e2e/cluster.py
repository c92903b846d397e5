# SPDX-License-Identifier: Apache-2.0
"""The cluster of one run: machines, control plane, Nodes, and a program that serves each node."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from kube.control_plane import ADMINISTRATOR, ControlPlane
from kube.proxies import INSTALLED, Proxies
from lab import Host, Lab
from lab.plan import GATEWAY
from tests.e2e.api import Api
from tests.e2e.backend import Node
from tests.e2e.machines import Machines
from tests.e2e.node_proxy import NodeProxy
from tests.e2e.plan import CONTROL_ADDRESS, NODES, NodePlan
from tests.e2e.pods import ScenarioPods
from tests.e2e.schema import Manifest, Program

_RIGHTS: Final = Path(__file__).parents[2] / "hack" / "manifests" / "rbac.yaml"


@dataclass(frozen=True, slots=True)
class Cluster:
    """What all scenarios of a run share."""

    machines: Machines
    control_plane: ControlPlane
    api: Api
    proxies: dict[str, NodeProxy]
    """By node."""
    program: Program
    """Who usually serves the nodes."""
    nodes: Mapping[str, Node] = field(init=False)

    def __post_init__(self) -> None:
        """Tell scenarios what they need of the nodes."""
        hosts = self.machines.nodes
        nodes = {
            one.name: Node(one.number, one.address, _own(one), hosts[one.name]) for one in NODES
        }
        object.__setattr__(self, "nodes", nodes)

    @property
    def client(self) -> Host:
        """Who asks from outside."""
        return self.machines.client

    def pods_of(self, namespace: str) -> ScenarioPods:
        """Begin a scenario's pods."""
        return ScenarioPods(self.api, self.machines, namespace)

    def keep_logs(self, folder: Path) -> None:
        """Copy what proxies and control plane wrote."""
        for name, proxy in self.proxies.items():
            proxy.tell_threads()
            for log in proxy.logs:
                shutil.copy(log, folder / f"{name}.{log.name}")
        for log in self.machines.lab.folder.glob("*.log"):
            shutil.copy(log, folder)

    def register_nodes(self) -> None:
        """Create the Nodes, or set them back to what they are without a scenario."""
        self.control_plane.put(*map(_node, NODES))


@contextmanager
def bare_cluster(programs: Path, program: Program) -> Iterator[Cluster]:
    """Build the machines, start the control plane and register the Nodes, which nobody serves."""
    with Lab() as lab:
        machines = Machines(lab)
        control_plane = ControlPlane(machines.control, CONTROL_ADDRESS, programs, lab.folder)
        control_plane.start()
        control_plane.start_controllers()
        access = control_plane.kubeconfig(ADMINISTRATOR)
        api = Api(machines.control, access, lab.folder / "discovered.json")
        cluster = Cluster(machines, control_plane, api, {}, program)
        cluster.register_nodes()
        yield cluster
        # It would wait for its store, which ends at the same moment.
        control_plane.kill_apiserver()


@contextmanager
def running_cluster(
    programs: Path,
    program: Program,
    agent: Sequence[str] = INSTALLED,
    flags: Sequence[str] = (),
) -> Iterator[Cluster]:
    """Build the machines and start everything on them.

    ``agent`` is the command of our program. ``program`` serves the nodes, with ``flags``.
    """
    with bare_cluster(programs, program) as bare:
        bare.control_plane.kubectl("apply", "--server-side", f"--filename={_RIGHTS}")
        proxies = node_proxies(bare.machines, bare.control_plane, programs, program, agent, flags)
        for proxy in proxies.values():
            proxy.start()
        yield replace(bare, proxies=proxies)


def node_proxies(
    machines: Machines,
    control_plane: ControlPlane,
    programs: Path,
    program: Program,
    agent: Sequence[str] = INSTALLED,
    flags: Sequence[str] = (),
) -> dict[str, NodeProxy]:
    """What starts ``program`` on each node, by node; see :func:`running_cluster`."""
    proxies = {}
    for name, host in machines.nodes.items():
        folder = machines.lab.folder / name
        folder.mkdir(exist_ok=True)
        on_node = Proxies(host, control_plane, programs, folder, name=name, agent=agent)
        proxies[name] = NodeProxy(name, on_node, program, flags)
    return proxies


def _own(plan: NodePlan) -> frozenset[str]:
    return frozenset(text for one in (plan.address, GATEWAY) for text in (one.ipv4, one.ipv6))


def _node(plan: NodePlan) -> Manifest:
    networks = [plan.pod_networks.ipv4, plan.pod_networks.ipv6]
    addresses = [
        {"type": "Hostname", "address": plan.name},
        {"type": "InternalIP", "address": plan.address.ipv4},
        {"type": "InternalIP", "address": plan.address.ipv6},
    ]
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": plan.name,
            "labels": {
                "kubernetes.io/hostname": plan.name,
                "kubernetes.io/os": "linux",
                "topology.kubernetes.io/zone": plan.zone,
            },
        },
        "spec": {"podCIDR": networks[0], "podCIDRs": networks},
        "status": {
            "addresses": addresses,
            "allocatable": {"cpu": "4"},
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    }
