# SPDX-License-Identifier: Apache-2.0
"""The node lab: everybody reaches every pod, and pods see the source that a node would show."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lab import Answered, NodeLab, Protocol, Target, node_lab, probe
from lab.plan import CLIENT, GATEWAY, NODE, OTHER_CLIENT, POD_1, POD_2, DualStack, Pod

_REMOTE_POD = Pod("web-3", DualStack("10.244.3.4", "fd00:10:244:3::4"))
_PODS = (POD_1, POD_2, _REMOTE_POD)


@pytest.fixture(scope="module")
def machines() -> Iterator[NodeLab]:
    """Yield two nodes: two pods on one, a third on the other, all answering on port 80."""
    with node_lab(remote_pods=[_REMOTE_POD]) as machines:
        machines.serve(80)
        yield machines


@pytest.mark.parametrize("protocol", Protocol)
@pytest.mark.parametrize("family", ["ipv4", "ipv6"])
@pytest.mark.parametrize("pod", _PODS, ids=lambda pod: pod.name)
def test_everybody_reaches_every_pod(
    machines: NodeLab, pod: Pod, family: str, protocol: Protocol
) -> None:
    """Client, nodes and pods reach each pod, which sees clients and pods as they are."""
    assert machines.remote is not None
    target = Target(getattr(pod.address, family), 80, protocol)
    sources = {
        machines.client: CLIENT,
        machines.node: NODE if pod is _REMOTE_POD else GATEWAY,
        machines.pods["web-1"]: POD_1.address,
        machines.pods["web-3"]: _REMOTE_POD.address,
    }

    for host, source in sources.items():
        outcome = probe(host, target)
        assert isinstance(outcome, Answered), (host.name, outcome)
        assert (outcome.by, outcome.source) == (pod.name, getattr(source, family))
    assert isinstance(probe(machines.remote, target), Answered)


@pytest.mark.parametrize("family", ["ipv4", "ipv6"])
def test_the_client_has_a_second_address(machines: NodeLab, family: str) -> None:
    """A probe bound to the client's other address arrives from it."""
    source = getattr(OTHER_CLIENT, family)

    outcome = probe(machines.client, Target(getattr(POD_1.address, family), 80), source=source)

    assert isinstance(outcome, Answered)
    assert outcome.source == source


def test_virtual_addresses_pass_the_node(machines: NodeLab) -> None:
    """What the client sends to a cluster IP or an ingress IP crosses the node's FORWARD chain."""
    for address in ("10.96.86.198", "198.51.100.0"):
        rule = ["FORWARD", "-d", address, "-j", "REJECT", "--reject-with", "tcp-reset", "-p", "tcp"]
        machines.node.run(["iptables-legacy", "-w", "-A", *rule])

        probe(machines.client, Target(address, 80))

        counters = machines.node.run(["iptables-legacy", "-nvxL", "FORWARD"]).stdout
        (line,) = [line for line in counters.splitlines() if address in line]
        assert int(line.split()[0]) > 0
