# SPDX-License-Identifier: Apache-2.0
"""The story: each section shows something and checks what it shows."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from demo import service
from demo.agent import COMMAND, Agent
from demo.chains import kubernetes_chains, listing_command, packets, saved_rules
from demo.page import Page
from demo.traffic import Traffic, connect, in_words
from lab import Answered, NodeLab, Target, TimedOut, probe, wait_until
from lab.plan import CLIENT, GATEWAY, NODE, OTHER_CLIENT, POD_1, POD_2

_CONNECTIONS = 20
_RANGE = "203.0.113.0/26"
_FOREIGN_RULE = "-A PREROUTING -s 192.0.2.77/32 -j ACCEPT"
_CHAINS = (
    "KUBE-SERVICES",
    service.LOAD_BALANCER_CHAIN,
    service.SERVICE_CHAIN,
    *service.ENDPOINT_CHAINS,
)
_MACHINES = """\
                    +---- node ----+
 client ------------| {node:<12} |
 {client:<18} | {gateway:>12} |------ pod web-1, {pod_1}
 {other_client:<18} |              |------ pod web-2, {pod_2}
                    +--------------+
"""


@dataclass(frozen=True, slots=True)
class Stage:
    """Where the story plays."""

    page: Page
    machines: NodeLab
    manifests: Path


def tell(page: Page, machines: NodeLab) -> None:
    """Tell the whole story on a fresh node lab."""
    stage = Stage(page, machines, service.copy_manifests(machines.lab.folder))
    _show_machines(stage)
    agent = _start_agent(stage)
    _show_fresh_chains(stage)
    _show_counters(stage, connections=_show_traffic(stage))
    _limit_sources(stage, agent)
    _end_agent(stage, agent)
    _clean_up(stage, agent)


def _show_machines(stage: Stage) -> None:
    stage.page.section("The machines")
    stage.page.say("Each is a network namespace of its own, with its own links and rules:")
    stage.page.blank()
    stage.page.listing(
        _MACHINES.format(
            node=NODE.ipv4,
            gateway=GATEWAY.ipv4,
            client=CLIENT.ipv4,
            other_client=OTHER_CLIENT.ipv4,
            pod_1=POD_1.address.ipv4,
            pod_2=POD_2.address.ipv4,
        )
    )
    stage.page.say(
        """Both pods answer on port 80 with their name and the source address they see. On the
        node there is one rule already, put there by somebody else:"""
    )
    foreign = ["iptables-legacy", "-t", "nat", *_FOREIGN_RULE.split()]
    stage.page.command(foreign)
    stage.machines.node.run(foreign)
    stage.machines.serve(80)


def _start_agent(stage: Stage) -> Agent:
    page = stage.page
    page.section("The agent programs the node")
    page.say(
        f"""The manifests in hack/demo/manifests describe the Service default/web: cluster IP
        {service.CLUSTER_IP.address}:80, node port {service.NODE_PORT.port}, ingress IP
        {service.INGRESS_IP.address}, and the two pods as its endpoints."""
    )
    begin = time.monotonic()
    agent = Agent(stage.machines.node, stage.manifests, stage.machines.lab.folder)
    page.command(agent.argv)
    _wait_for_rule(stage, agent, f"-j {service.LOAD_BALANCER_CHAIN}")
    page.listing(f"programmed after {time.monotonic() - begin:.1f} s")
    return agent


def _wait_for_rule(stage: Stage, agent: Agent, rule: str) -> None:
    def is_there() -> bool:
        agent.require_running()
        return rule in saved_rules(stage.machines.node)

    wait_until(f"the agent has programmed {rule!r}", is_there, seconds=20)


def _show_fresh_chains(stage: Stage) -> None:
    _show_chains(stage, "In the kernel, these chains now serve it:")
    stage.page.blank()
    stage.page.expect("nobody has connected yet", holds=_to_endpoints(stage) == 0)


def _show_chains(stage: Stage, remark: str, chains: tuple[str, ...] = _CHAINS) -> None:
    stage.page.say(remark)
    for chain in chains:
        argv = listing_command(chain)
        stage.page.command(argv)
        stage.page.listing(stage.machines.node.run(argv).stdout)


def _show_traffic(stage: Stage) -> int:
    page, pods = stage.page, stage.machines.pods
    page.section("Connections")
    page.say(f"{_CONNECTIONS} connections each, from a pod and from outside:")
    destinations = {
        "cluster IP": service.CLUSTER_IP,
        "node port": service.NODE_PORT,
        "ingress IP": service.INGRESS_IP,
    }
    origins = {"pod web-1": pods["web-1"], "client": stage.machines.client}
    traffic = {
        (origin, kind): connect(host, target, _CONNECTIONS)
        for origin, host in origins.items()
        for kind, target in destinations.items()
    }
    page.table(
        ("from", "to", "address", "answered by", "source that the pods saw"),
        [
            (origin, kind, _text(destinations[kind]), seen.pods, seen.sources)
            for (origin, kind), seen in traffic.items()
        ],
    )
    page.blank()
    page.expect(
        "every connection was answered", holds=all(t.all_answered for t in traffic.values())
    )
    page.expect(
        "each destination spread its connections over both pods",
        holds=all({a.by for a in t.answers} == {"web-1", "web-2"} for t in traffic.values()),
    )
    _check_sources(page, traffic)
    return sum(len(seen.outcomes) for seen in traffic.values())


def _check_sources(page: Page, traffic: Mapping[tuple[str, str], Traffic]) -> None:
    direct = ("pod web-1", "cluster IP")
    inside = traffic[direct]
    others = [seen for way, seen in traffic.items() if way != direct]
    page.expect(
        "from pod to cluster IP, the other pod saw the pod's own address",
        holds={a.source for a in inside.answers if a.by == "web-2"} == {POD_1.address.ipv4},
    )
    page.expect(
        "a pod that reached itself through the cluster IP (hairpin) saw the node, not itself",
        holds={a.source for a in inside.answers if a.by == "web-1"} == {GATEWAY.ipv4},
    )
    page.expect(
        "all other connections were masqueraded: the pods saw the node",
        holds={a.source for t in others for a in t.answers} == {GATEWAY.ipv4},
    )


def _show_counters(stage: Stage, *, connections: int) -> None:
    stage.page.section("The counters moved")
    _show_chains(
        stage,
        """The nat table sees the first packet of each connection, so these counters count
        connections:""",
    )
    stage.page.blank()
    stage.page.expect(
        f"{connections} connections, as many packets from the Service's chain to the pods' chains",
        holds=_to_endpoints(stage) == connections,
    )
    stage.page.expect(
        "and as many from there to the pods",
        holds=sum(packets(stage.machines.node, c, "DNAT") for c in service.ENDPOINT_CHAINS)
        == connections,
    )


def _to_endpoints(stage: Stage) -> int:
    node, chain = stage.machines.node, service.SERVICE_CHAIN
    return sum(packets(node, chain, endpoint) for endpoint in service.ENDPOINT_CHAINS)


def _limit_sources(stage: Stage, agent: Agent) -> None:
    page, client = stage.page, stage.machines.client
    page.section("Source ranges, while the agent runs")
    page.say("The Service's manifest gets a line, and the agent, who watches it, does the rest:")
    page.blank()
    page.listing(f"+ loadBalancerSourceRanges: [{_RANGE}]")
    before = _to_endpoints(stage)
    service.limit_sources(stage.manifests, [_RANGE])
    _wait_for_rule(stage, agent, f"-A {service.LOAD_BALANCER_CHAIN} -s {_RANGE}")
    kept = _to_endpoints(stage)
    allowed = probe(client, service.INGRESS_IP, source=CLIENT.ipv4)
    dropped = probe(client, service.INGRESS_IP, source=OTHER_CLIENT.ipv4)
    page.table(
        ("client", "to", "outcome"),
        [
            (source, _text(service.INGRESS_IP), in_words(outcome))
            for source, outcome in ((CLIENT.ipv4, allowed), (OTHER_CLIENT.ipv4, dropped))
        ],
    )
    _show_chains(
        stage,
        """Who is in no range falls through to KUBE-MARK-DROP, and the filter table drops what
        carries that mark:""",
        (service.LOAD_BALANCER_CHAIN,),
    )
    page.command(listing_command("KUBE-PROXY-FIREWALL", "filter"))
    page.listing(stage.machines.node.run(listing_command("KUBE-PROXY-FIREWALL", "filter")).stdout)
    page.blank()
    page.expect(f"{CLIENT.ipv4}, in the range, is answered", holds=isinstance(allowed, Answered))
    page.expect(f"{OTHER_CLIENT.ipv4}, outside, is dropped", holds=dropped == TimedOut())
    page.expect("rules that did not change kept their counters", holds=kept == before)


def _end_agent(stage: Stage, agent: Agent) -> None:
    stage.page.section("The agent ends, the rules stay")
    agent.require_running()
    code = agent.end()
    stage.page.say("What the agent had to say:")
    stage.page.blank()
    stage.page.listing(agent.log)
    stage.page.blank()
    stage.page.expect("SIGTERM ended it with exit code 0", holds=code == 0)
    outcome = probe(stage.machines.client, service.INGRESS_IP)
    stage.page.expect("the ingress IP is still served", holds=isinstance(outcome, Answered))


def _clean_up(stage: Stage, agent: Agent) -> None:
    page, node = stage.page, stage.machines.node
    page.section("Cleaning up")
    argv = [COMMAND, "cleanup", agent.lock_file_flag]
    page.command(argv)
    node.run(argv)
    page.command(["iptables-legacy-save"])
    saved = saved_rules(node)
    page.listing("\n".join(line for line in saved.splitlines() if not line.startswith("#")))
    page.blank()
    page.expect(
        "no chain of the agent is left; KUBE-FIREWALL belongs to kubelet as well, and stays",
        holds=kubernetes_chains(node) <= {"KUBE-FIREWALL"},
    )
    page.expect("the rule of somebody else is still there", holds=_FOREIGN_RULE in saved)


def _text(target: Target) -> str:
    return f"{target.address}:{target.port}"
