# SPDX-License-Identifier: Apache-2.0
"""The Service of the user's document: its objects, its pods, and what nodes list of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from lab import Answered, Host, Outcome, Target, probe, wait_until
from lab.plan import CLIENT
from rules.ir import Family
from tests.e2e.cluster import Cluster
from tests.e2e.expecting import saved
from tests.e2e.plan import NODES, NodePlan
from tests.e2e.schema import Manifest, Pod, Program
from tests.kernel.node import PROGRAMS
from tests.reference_listing import REFERENCE, as_in_reference, listed_chains, reference_chains

ADDRESS: Final = "198.51.100.0"
"""What its load balancer gets in the document: the first address of the pool."""
NAMESPACE: Final = "default"
PODS: Final = {"web-1": (NODES[0], "10.244.1.2"), "web-2": (NODES[1], "10.244.2.6")}

_SERVICE: Final[Manifest] = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "web"},
    "spec": {
        "type": "LoadBalancer",
        "clusterIP": "10.96.86.198",
        "selector": {"app": "web"},
        "ports": [{"port": 80, "nodePort": 30956}],
    },
}
_LISTINGS: Final = {
    Program.DATAPLANE: REFERENCE,
    # kube-proxy has other chains for this today than in the document.
    Program.KUBE_PROXY: """
Chain KUBE-SERVICES
  KUBE-SVC-LOLE4ISW44XBNF3G tcp  0.0.0.0/0  10.96.86.198  /* default/web cluster IP */ tcp dpt:80
  KUBE-EXT-LOLE4ISW44XBNF3G tcp  0.0.0.0/0  198.51.100.0  /* default/web loadbalancer IP */ tcp dpt:80
Chain KUBE-EXT-LOLE4ISW44XBNF3G
  KUBE-MARK-MASQ            all  /* masquerade traffic for default/web external destinations */
  KUBE-SVC-LOLE4ISW44XBNF3G all
Chain KUBE-SVC-LOLE4ISW44XBNF3G
  KUBE-MARK-MASQ            tcp  !10.244.0.0/16  10.96.86.198 /* default/web cluster IP */ tcp dpt:80
  KUBE-SEP-MQ4W7Q2CV67URU6Q all  /* default/web -> 10.244.1.2:80 */ statistic mode random probability 0.50000000000
  KUBE-SEP-YUPMFTK3IHSQP2LT all  /* default/web -> 10.244.2.6:80 */
""",  # noqa: E501 - written as the document writes it
}
_SHARED_CHAIN: Final = "KUBE-SERVICES"
_SECONDS: Final = 30.0
_ANSWER_SECONDS: Final = 0.5
_MOST_PODS: Final = 250


class Document:
    """The Service and its two pods in a cluster, until they are removed."""

    def __init__(self, cluster: Cluster) -> None:
        """Create them."""
        self._cluster = cluster
        self._pods = cluster.pods_of(NAMESPACE)
        for name, (node, address) in PODS.items():
            self._let_next_pod_have(node, address)
            pod = Pod(name=name, node=node.name, labels={"app": "web"}, ports={"http": 80})
            self._pods.add(pod)
        cluster.api.apply(_SERVICE, NAMESPACE)

    def remove(self) -> None:
        """Delete what is left of it, and wait until the nodes have forgotten it."""
        self.delete_service()
        for name in PODS:
            self._cluster.api.delete("v1", "Pod", name, NAMESPACE)
        self.wait_until_served(is_served=False)
        self._pods.release()

    def delete_service(self) -> None:
        """Delete the Service; no error if it is gone already."""
        self._cluster.api.delete("v1", "Service", "web", NAMESPACE)

    def set_source_ranges(self, *ranges: str) -> None:
        """Let only clients of these networks in; all if there are none."""
        merge = {"spec": {"loadBalancerSourceRanges": list(ranges) or None}}
        self._cluster.api.patch("v1", "Service", "web", NAMESPACE, merge)

    def ingress(self) -> list[str]:
        """The addresses that the Service has got; none while it is pending."""
        status = self._cluster.api.get("v1", "Service", "web", NAMESPACE)["status"]
        return [one["ip"] for one in status["loadBalancer"].get("ingress", [])]

    def ask(self, source: str = CLIENT.ipv4, seconds: float = _ANSWER_SECONDS) -> Outcome:
        """Ask the address once, from outside."""
        client = self._cluster.client
        return probe(client, Target(ADDRESS, 80), source=source, timeout_seconds=seconds)

    def answering_pod(self) -> str | None:
        """Which pod answers; ask again, and it may be the other one."""
        outcome = self.ask()
        return self._pods.called(outcome.by) if isinstance(outcome, Answered) else None

    def wait_until_served(self, *, is_served: bool = True) -> None:
        """Wait until each node has rules that lead to all pods; or, if not so, to none of them."""
        destinations = [f"--to-destination {address}:80" for _, address in PODS.values()]
        self.wait_for_rules(
            "the Service is served" if is_served else "no rule is about it",
            lambda rules: all((one in rules) is is_served for one in destinations),
        )

    def wait_for_rules(self, what: str, is_so: Callable[[str], bool]) -> None:
        """Wait until it is so of the rules of each node, as iptables-save prints them."""
        nodes = self._cluster.machines.nodes.values()
        wait_until(
            f"{what} on each node",
            lambda: all(is_so("\n".join(saved(node, Family.IPV4))) for node in nodes),
            seconds=_SECONDS,
        )

    def expected_listing(self) -> dict[str, list[list[str]]]:
        """What a node lists of it, chain by chain, in the columns that the document shows."""
        return reference_chains(_LISTINGS[self._cluster.program])

    def listing(self, node: Host) -> dict[str, list[list[str]]]:
        """What ``iptables -nvL`` lists, in the same chains and columns."""
        listed = listed_chains(node.run([PROGRAMS[Family.IPV4], "-t", "nat", "-nvL"]).stdout)
        # Other Services have lines in one of them, too.
        of_web = [line for line in listed[_SHARED_CHAIN] if "default/web " in line]
        listed[_SHARED_CHAIN] = of_web
        return {
            chain: as_in_reference(listed[chain], expected)
            for chain, expected in self.expected_listing().items()
        }

    def _let_next_pod_have(self, node: NodePlan, address: str) -> None:
        """Bring the machine with this address to the front: what is given back last is next."""
        machines = self._cluster.machines
        taken = [machines.take_pod(node)]
        while taken[-1].address.ipv4 != address and len(taken) < _MOST_PODS:
            taken.append(machines.take_pod(node))
        for machine in taken:
            machines.give_back(machine)
