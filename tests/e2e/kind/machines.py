# SPDX-License-Identifier: Apache-2.0
"""The machines of a kind cluster: containers that are nodes, and one outside that is the client."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from subprocess import CompletedProcess
from typing import Final

from kind.package import package
from kind.remote import Remote
from lab.commands import run
from lab.plan import CLIENT, OTHER_CLIENT, DualStack
from tests.e2e.backend import Node

CLIENT_CONTAINER: Final = "kube-dataplane-e2e-client"
"""Removed by ``hack/kind/e2e.sh``."""

_NETWORK: Final = "kind"
_PACKAGE: Final = "/questions.zip"
_FIRST_TABLE: Final = 100
_ADDRESSES: Final = (
    "{{range .NetworkSettings.Networks}}{{.IPAddress}} {{.GlobalIPv6Address}}{{end}}"
)
# Refusals are ICMP messages: the kernel would send only a few of them a second.
_NO_LIMITS_OF_REFUSALS: Final = ("net.ipv4.icmp_ratelimit=0", "net.ipv6.icmp.ratelimit=0")


class KindNode(Remote):
    """A node: questions come from a pod in its network, programs run in its container."""

    def __init__(self, container: str, into: Sequence[str]) -> None:
        """``into`` leads to the pod."""
        super().__init__(into)
        self._container = container

    def run(self, argv: Sequence[str]) -> CompletedProcess[str]:
        """Run a program to its end; raises ``CommandFailedError``."""
        return run(["docker", "exec", self._container, *argv], where=self._container)

    def addresses(self) -> frozenset[str]:
        """All addresses that it has now."""
        links = json.loads(self.run(["ip", "-json", "address", "show"]).stdout)
        return frozenset(one["local"] for link in links for one in link["addr_info"])


def start_client(image: str, nodes: Mapping[str, Node], container: str, folder: Path) -> Remote:
    """Start the client on the nodes' network, with both of its addresses, and routes to and fro.

    ``container`` is that of a node: its image has ``ip``, and ours has not.
    """
    _docker("rm", "--force", CLIENT_CONTAINER, check=False)
    _docker(
        "run",
        "--detach",
        f"--name={CLIENT_CONTAINER}",
        f"--network={_NETWORK}",
        "--cap-add=NET_ADMIN",
        f"--env=PYTHONPATH={_PACKAGE}",
        "--entrypoint=python3",
        image,
        "-c",
        "import signal; signal.pause()",
    )
    file = folder / "questions.zip"
    file.write_bytes(package())
    _docker("cp", str(file), f"{CLIENT_CONTAINER}:{_PACKAGE}")
    tools = _docker("inspect", "--format={{.Image}}", container).strip()
    _configure_client(tools, tuple(nodes.values()))
    own = DualStack(*_docker("inspect", f"--format={_ADDRESSES}", CLIENT_CONTAINER).split())
    for node in nodes.values():
        _configure_node(node, own)
    return Remote(("docker", "exec", "--interactive", CLIENT_CONTAINER))


def _configure_client(tools: str, nodes: Sequence[Node]) -> None:
    """Give it its addresses; by a mark, packets go by a certain node, and else by the first."""
    addresses = [
        f"address add {address} dev eth0"
        for own in (CLIENT, OTHER_CLIENT)
        for address in (f"{own.ipv4}/32", f"{own.ipv6}/128 nodad")
    ]
    first = [f"route replace default via {one}" for one in _both(nodes[0].address)]
    others = [
        f"route add default via {one} table {_FIRST_TABLE + node.number}"
        for node in nodes
        for one in _both(node.address)
    ]
    rules = [f"rule add fwmark {node.number} lookup {_FIRST_TABLE + node.number}" for node in nodes]
    _ip(tools, (), [*addresses, *first, *others])
    for family in ("-4", "-6"):
        _ip(tools, (family,), rules)


def _ip(tools: str, flags: Sequence[str], commands: Sequence[str]) -> None:
    _docker(
        "run",
        "--rm",
        "--interactive",
        f"--network=container:{CLIENT_CONTAINER}",
        "--cap-add=NET_ADMIN",
        "--entrypoint=ip",
        tools,
        *flags,
        "-batch",
        "-",
        stdin="\n".join(commands) + "\n",
    )


def _configure_node(node: Node, client: DualStack) -> None:
    node.machine.run(["sysctl", "-w", *_NO_LIMITS_OF_REFUSALS])
    for own in (CLIENT, OTHER_CLIENT):
        node.machine.run(["ip", "route", "replace", f"{own.ipv4}/32", "via", client.ipv4])
        node.machine.run(["ip", "route", "replace", f"{own.ipv6}/128", "via", client.ipv6])


def _docker(*arguments: str, stdin: str = "", check: bool = True) -> str:
    return run(["docker", *arguments], stdin=stdin, check=check).stdout


def _both(address: DualStack) -> tuple[str, str]:
    return address.ipv4, address.ipv6
