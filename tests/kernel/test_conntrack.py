# SPDX-License-Identifier: Apache-2.0
"""Real flows through a node whose services change: which ones move, end, or go on undisturbed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Unpack

import pytest

from dataplane.conntrack.errors import ConntrackError
from dataplane.conntrack.reconciler import ConntrackReconciler, ReconcileReport
from lab import Answered, Host, NodeLab, Refused, Target, TimedOut
from lab.plan import GATEWAY, NODE
from rules.flows import FlowTargetsBuilder
from rules.model import ServiceState, ServiceType, SliceEndpoint
from tests.address_plan import AddressPlan
from tests.builders import (
    NODE_PORT,
    OptionFields,
    context,
    local,
    remote,
    service_port,
    state,
)
from tests.kernel.flows import Client, KnownFlow, known_flows
from tests.kernel.node import KernelNode
from tests.kernel.privileges import without_privileges
from tests.kernel.traffic import LOCAL, REMOTE, of, tcp, udp

_AT_ONCE_SECONDS = 0.4
_HOST_PORT = 5353

_KINDS: dict[str, Callable[[AddressPlan], Target]] = {
    "cluster IP": lambda plan: udp(plan.cluster_ip),
    "external IP": lambda plan: udp(plan.external_ip),
    "ingress IP": lambda plan: udp(plan.ingress_ip),
    "node port": lambda plan: udp(plan.node_ip, NODE_PORT),
}


class Agent:
    """Programs the node and then looks after its flows, as the agent does in each sync."""

    def __init__(
        self, node: KernelNode, plan: AddressPlan, **options: Unpack[OptionFields]
    ) -> None:
        self._node = node
        self._plan = plan
        self._options = options
        self._targets = FlowTargetsBuilder(context(plan, **options))
        self._reconciler = ConntrackReconciler()
        self._states: tuple[ServiceState, ...] = ()

    def program(self, *states: ServiceState) -> None:
        """Do the first half only: the rules."""
        self._states = states
        self._node.program(self._plan, *states, **self._options)

    def reconcile(self) -> ReconcileReport | None:
        """Do the second half: the flows."""
        self._note()
        with self._node.host.entered():
            return self._reconciler.run(self._plan.family)

    def fail_to_reconcile(self) -> None:
        """Try to do the second half without the privilege to."""
        self._note()
        with self._node.host.entered(), without_privileges(), pytest.raises(ConntrackError):
            self._reconciler.run(self._plan.family)

    def _note(self) -> None:
        targets = self._targets.build({one.service.key: one for one in self._states})
        self._reconciler.note(self._plan.family, targets)

    def sync(self, *states: ServiceState) -> ReconcileReport | None:
        """Do both."""
        self.program(*states)
        return self.reconcile()


@pytest.fixture
def agent(node: KernelNode, plan: AddressPlan) -> Agent:
    """An agent that has programmed no service yet."""
    agent = Agent(node, plan)
    agent.sync()
    return agent


@pytest.fixture(params=_KINDS)
def target(request: pytest.FixtureRequest, plan: AddressPlan) -> Target:
    """Each way to a service in turn."""
    kind: str = request.param
    return _KINDS[kind](plan)


@pytest.fixture
def client(machines: NodeLab, target: Target) -> Iterator[Client]:
    """An outside client with one flow to the target."""
    with Client(machines.client, target) as client:
        yield client


@pytest.fixture(scope="module")
def host_server(machines: NodeLab) -> Host:
    """The node, with a server of its own besides the services."""
    machines.lab.serve(machines.node, _HOST_PORT, addresses=[NODE.ipv4, NODE.ipv6])
    return machines.node


def _service(plan: AddressPlan, *endpoints: SliceEndpoint) -> ServiceState:
    """A load balancer with an address of each kind, for UDP and TCP."""
    ports = (
        service_port(name="", protocol="udp", node_port=NODE_PORT),
        service_port(name="", protocol="tcp", node_port=NODE_PORT),
    )
    return state(
        plan,
        *endpoints,
        type=ServiceType.LOAD_BALANCER,
        ports=ports,
        external_ips=(plan.external_ip,),
        ingress_ips=(plan.ingress_ip,),
    )


def _seen(client: Client, node: Host, plan: AddressPlan) -> tuple[list[KnownFlow], Answered]:
    """The entry of a client's flow, and then the answer: it would bring back an entry that went."""
    return known_flows(node, plan.family, client), client.answer()


def test_a_flow_moves_when_its_endpoint_is_removed(
    agent: Agent, client: Client, plan: AddressPlan
) -> None:
    """The next datagram from the same port goes to an endpoint that serves."""
    agent.sync(_service(plan, local(plan.local_pod)))
    assert client.answer().by == LOCAL.name
    agent.program(_service(plan, remote(plan.remote_pod)))
    assert client.answer().by == LOCAL.name, "rules alone do not move a flow"

    report = agent.reconcile()

    assert report is not None
    assert report.deleted == 1
    assert client.answer().by == REMOTE.name


def test_a_flow_ends_with_the_last_endpoint(
    agent: Agent, client: Client, plan: AddressPlan, machines: NodeLab
) -> None:
    """The entry goes, the pod hears no more of the client, and the client is refused."""
    agent.sync(_service(plan, local(plan.local_pod)))
    client.answer()
    agent.program(_service(plan))
    assert client.answer().by == LOCAL.name, "rules alone do not end a flow"
    assert len(known_flows(machines.node, plan.family, client)) == 1

    agent.reconcile()

    assert known_flows(machines.node, plan.family, client) == []
    assert client.ask() == Refused()


def test_a_flow_ends_with_its_service(
    agent: Agent, client: Client, plan: AddressPlan, machines: NodeLab
) -> None:
    """Nothing of a deleted service is left in conntrack, so its pod is not reached any more."""
    agent.sync(_service(plan, local(plan.local_pod)))
    client.answer()
    agent.program()
    assert client.answer().by == LOCAL.name, "rules alone do not end a flow"
    assert len(known_flows(machines.node, plan.family, client)) == 1

    agent.reconcile()

    assert known_flows(machines.node, plan.family, client) == []
    assert client.ask(timeout_seconds=_AT_ONCE_SECONDS) in (Refused(), TimedOut())


def test_a_failed_pass_does_not_forget_a_deleted_service(
    agent: Agent, plan: AddressPlan, machines: NodeLab
) -> None:
    """What could not be done when the service went is done by the next pass that works."""
    with Client(machines.client, udp(plan.cluster_ip)) as client:
        agent.sync(_service(plan, local(plan.local_pod)))
        client.answer()
        agent.program()
        agent.fail_to_reconcile()
        assert client.answer().by == LOCAL.name, "the flow goes on"

        agent.reconcile()

        assert known_flows(machines.node, plan.family, client) == []


def test_the_address_of_a_deleted_service_may_become_somebody_elses(
    agent: Agent, node: KernelNode, plan: AddressPlan, machines: NodeLab
) -> None:
    """Once its flows are ended it is forgotten, and what others translate there goes on."""
    agent.sync(_service(plan, local(plan.local_pod)))
    agent.sync()
    match = ("-d", plan.cluster_ip, "-p", "udp", "--dport", "80")
    translate = ("-j", "DNAT", "--to-destination", plan.endpoint(plan.other_local_pod))
    node.iptables(plan, "-t", "nat", "-A", "PREROUTING", *match, *translate)
    with Client(machines.client, udp(plan.cluster_ip)) as client:
        client.answer()
        before = _seen(client, machines.node, plan)

        elsewhere = state(
            plan,
            local(plan.local_pod),
            cluster_ips=(plan.other_cluster_ip,),
            ports=(service_port(protocol="udp"),),
        )
        report = agent.sync(elsewhere)

        assert report is not None
        assert _seen(client, machines.node, plan) == before


def test_a_flow_that_began_before_the_service_finds_its_first_endpoint(
    agent: Agent, client: Client, plan: AddressPlan, machines: NodeLab
) -> None:
    """An untranslated entry does not keep a client from the service for ever."""
    client.ask(timeout_seconds=_AT_ONCE_SECONDS)
    (before,) = known_flows(machines.node, plan.family, client)
    assert before.replies_from == client.target.address

    agent.sync(_service(plan, local(plan.local_pod)))

    assert client.answer().by == LOCAL.name


def test_a_restarted_agent_ends_flows_to_endpoints_that_left_meanwhile(
    agent: Agent, client: Client, plan: AddressPlan, node: KernelNode
) -> None:
    """The first pass of a process needs no memory of what was served before."""
    agent.sync(_service(plan, local(plan.local_pod)))
    client.answer()

    Agent(node, plan).sync(_service(plan, remote(plan.remote_pod)))

    assert client.answer().by == REMOTE.name


@pytest.mark.parametrize("is_draining", [False, True])
def test_a_flow_to_a_serving_endpoint_goes_on(
    agent: Agent, client: Client, plan: AddressPlan, machines: NodeLab, *, is_draining: bool
) -> None:
    """While others leave, it keeps its entry and the port that its pod sees; draining, too."""
    agent.sync(_service(plan, local(plan.local_pod)))
    client.answer()
    before = _seen(client, machines.node, plan)
    serving = local(plan.local_pod, ready=not is_draining, serving=True, terminating=is_draining)
    others = remote(plan.remote_pod), remote(plan.other_remote_pod)
    agent.sync(_service(plan, local(plan.local_pod), *others))

    report = agent.sync(_service(plan, serving, others[0]))

    assert report is not None
    assert report.deleted == 0
    assert _seen(client, machines.node, plan) == before


def test_tcp_is_left_to_itself(agent: Agent, plan: AddressPlan, machines: NodeLab) -> None:
    """A connection to an endpoint that is gone from the service goes on as it likes."""
    agent.sync(_service(plan, local(plan.local_pod)))
    with Client(machines.client, tcp(plan.cluster_ip)) as client:
        client.answer()
        before = _seen(client, machines.node, plan)

        agent.sync(_service(plan, remote(plan.remote_pod)))
        agent.sync(_service(plan))
        agent.sync()

        assert _seen(client, machines.node, plan) == before


def test_flows_of_others_go_on(
    agent: Agent, plan: AddressPlan, machines: NodeLab, host_server: Host
) -> None:
    """Flows to the node's own server, and past it to a pod, live through a service's whole life."""
    with (
        Client(machines.client, udp(plan.node_ip, _HOST_PORT)) as to_node,
        Client(machines.client, udp(plan.local_pod)) as to_pod,
    ):
        flows = (to_node, to_pod)
        for one in flows:
            one.answer()
        before = [_seen(one, host_server, plan) for one in flows]

        agent.sync(_service(plan, local(plan.local_pod)))
        agent.sync(_service(plan))
        agent.sync()

        assert [_seen(one, host_server, plan) for one in flows] == before


def test_a_node_ports_number_elsewhere_is_not_the_node_port(
    agent: Agent, plan: AddressPlan, machines: NodeLab
) -> None:
    """A flow through the node to a pod that listens on that very number is somebody else's."""
    with Client(machines.client, udp(plan.other_local_pod, NODE_PORT)) as client:
        client.ask(timeout_seconds=_AT_ONCE_SECONDS)
        before = known_flows(machines.node, plan.family, client)

        agent.sync(_service(plan, local(plan.local_pod)))
        agent.sync(_service(plan))

        assert len(before) == 1
        assert known_flows(machines.node, plan.family, client) == before


def test_every_local_address_serves_node_ports(
    agent: Agent, plan: AddressPlan, machines: NodeLab
) -> None:
    """A pod's flow to its gateway's node port moves as one to the node's main address does."""
    gateway = of(plan, GATEWAY)
    agent.sync(_service(plan, local(plan.local_pod)))
    with Client(machines.pods["local-2"], udp(gateway, NODE_PORT)) as client:
        assert client.answer().by == LOCAL.name

        agent.sync(_service(plan, remote(plan.remote_pod)))

        assert client.answer().by == REMOTE.name


def test_what_cannot_have_changed_is_not_looked_at(agent: Agent, plan: AddressPlan) -> None:
    """One more endpoint, or nothing new at all: no report, since no table was read."""
    first = agent.sync(_service(plan, local(plan.local_pod)))

    assert first is not None
    assert agent.sync(_service(plan, local(plan.local_pod))) is None
    assert agent.sync(_service(plan, local(plan.local_pod), remote(plan.remote_pod))) is None
