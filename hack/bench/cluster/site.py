# SPDX-License-Identifier: Apache-2.0
"""A control plane that holds a cluster, and nodes that are served from it, one after the other.

Each contender gets a node of its own, which is removed after it, with the same name and addresses
as all others. All endpoints live in one pod, which answers at every address that they have.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.cluster.api import Api
from bench.cluster.echo import serving
from bench.cluster.manifests import node_manifest
from bench.objects import TARGET_PORT, Cluster
from kube.control_plane import ADMINISTRATOR, ControlPlane
from lab import Host, Lab, LabError, wait_until
from lab.node import add_local_net, attach_node, attach_pod
from lab.plan import NODE, REMOTE_NODE, ROUTER, DualStack, Pod

ENDPOINTS: Final = "10.128.0.0/10"
"""The addresses of all endpoints, whatever the size of the cluster."""

_RIGHTS: Final = Path(__file__).parents[2] / "manifests" / "rbac.yaml"
_CLIENT: Final = Pod("client", DualStack("10.200.0.2", "fd00:10:244:1::2"))
_BACKEND: Final = Pod("backend", DualStack("10.200.0.3", "fd00:10:244:1::3"))
_SERVICE_NETWORK: Final = "10.96.0.0/12"
_FLAGS: Final = ("--service-node-port-range=20000-32767",)


@dataclass(frozen=True, slots=True)
class Site:
    """A running control plane."""

    machine: Host
    control_plane: ControlPlane
    api: Api
    programs: Path
    agent: Sequence[str]
    """The command of our program."""


@dataclass(frozen=True, slots=True)
class Machines:
    """A node and what is around it."""

    node: Host
    client: Host
    """A pod of the node that asks."""
    bare_client: Host
    """A pod of a second node, which has no rules for it, that reaches the same endpoints."""
    folder: Path
    """For files of this node."""


@contextmanager
def running_site(programs: Path, cluster: Cluster, agent: Sequence[str]) -> Iterator[Site]:
    """Start a control plane and register the Node of ``cluster``; nothing else is in it yet."""
    with Lab() as lab:
        (machine,) = lab.add_hosts("control")
        add_local_net(machine)
        control_plane = ControlPlane(machine, ROUTER.ipv4, programs, lab.folder, _FLAGS)
        control_plane.start()
        control_plane.put(node_manifest(cluster.node))
        control_plane.kubectl("apply", "--server-side", f"--filename={_RIGHTS}")
        api = Api(machine, control_plane.kubeconfig(ADMINISTRATOR))
        yield Site(machine, control_plane, api, programs, agent)
        # It would wait for its store, which ends at the same moment.
        control_plane.kill_apiserver()


@contextmanager
def fresh_node(control: Host) -> Iterator[Machines]:
    """Build a node without rules, next to the control plane, with a client and all endpoints."""
    with Lab() as lab, ExitStack() as servers:
        node, client, backend = lab.add_hosts("node", "client", "backend")
        bare, bare_client, bare_backend = lab.add_hosts("bare", "bare-client", "bare-backend")
        for router, address, asker, answerer in (
            (node, NODE, client, backend),
            (bare, REMOTE_NODE, bare_client, bare_backend),
        ):
            attach_node(lab, router, control, address)
            attach_pod(lab, router, asker, _CLIENT)
            attach_pod(lab, router, answerer, _BACKEND)
            answerer.ip(f"route add local {ENDPOINTS} dev lo")
            router.ip(f"route add {ENDPOINTS} via {_BACKEND.address.ipv4}")
            servers.enter_context(serving(answerer, TARGET_PORT))
        _track_connections(bare)
        # So that a client hears at once that nobody serves an address.
        node.ip(f"route add unreachable {_SERVICE_NETWORK}")
        node.set_sysctl("net.ipv4.icmp_ratelimit", "0")
        yield Machines(node, client, bare_client, lab.folder)
    for router in (node, bare):
        _wait_until_unplugged(control, router.name)


def _track_connections(node: Host) -> None:
    """As every node does whose pods are masqueraded: that is no cost of rules for Services."""
    node.run(["iptables-legacy", "-t", "nat", "-S"])
    # Tracking begins with the first rule that asks for it; forwarded packets do not meet this one.
    node.run(["iptables-legacy", "-A", "OUTPUT", "-m", "conntrack", "--ctstate", "INVALID"])


def _wait_until_unplugged(control: Host, node: str) -> None:
    """The kernel removes a machine some time after its name, and its cable with it."""
    device = f"to-{node}"

    def is_gone() -> bool:
        return control.run(["ip", "link", "show", device], check=False).returncode != 0

    try:
        wait_until(f"{device} is gone", is_gone, seconds=60.0, pause_seconds=0.1)
    except LabError:
        control.ip(f"link delete {device}")
