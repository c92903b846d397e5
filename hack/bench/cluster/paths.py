# SPDX-License-Identifier: Apache-2.0
"""How long the first packet of a connection takes, by where its address stands among the rules.

Clients are pods, one on the node that is measured and one on a node without rules for it; they take
turns. A TCP time is that of connecting. A UDP time is that from the first datagram of a flow to its
answer: it has the server's own time in it, which is the same for all.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from statistics import median
from struct import pack
from time import perf_counter
from typing import Final, NamedTuple

from bench.cluster.contenders import Contender
from bench.cluster.costs import Latency, Way
from bench.cluster.site import Machines
from bench.objects import TARGET_PORT, Cluster
from lab.namespaces import entered

_TURNS: Final = 40
_QUESTIONS_A_TURN: Final = 10
_TIMEOUT_SECONDS: Final = 2.0
_CLOSE_AT_ONCE: Final = pack("ii", 1, 0)
"""SO_LINGER: no connection stays in TIME_WAIT, and holds its port."""
_DISPATCH_RULE: Final = re.compile(
    r"^-A (?:KUBE-SERVICES|KUBE-SVC-IP-\S+) -d (?P<address>\S+)/32 -p (?P<protocol>tcp|udp) "
)


class Questions(NamedTuple):
    """Where TCP and UDP questions go, and from which machine."""

    namespace: str
    tcp: tuple[str, int]
    udp: tuple[str, int]


def measure_ways(contender: Contender, machines: Machines, cluster: Cluster) -> dict[Way, Latency]:
    """All ways through the rules that ``contender`` has left on the node."""
    listing = machines.node.run(contender.view.listing, timeout_seconds=300.0).stdout
    tcp, udp = (vips_in_order(listing, cluster, protocol) for protocol in ("tcp", "udp"))
    pod = (cluster.slices[0].endpoints[0].address, TARGET_PORT)
    inside, bare = machines.client.namespace, machines.bare_client.namespace
    ways = {
        Way.NO_RULES: Questions(bare, pod, pod),
        Way.POD: Questions(inside, pod, pod),
        **{
            way: Questions(inside, _of_three(tcp, place), _of_three(udp, place))
            for place, way in enumerate((Way.FIRST, Way.MIDDLE, Way.LAST))
        },
    }
    # In a process of its own, which has nothing else to do.
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        return process.submit(_ask, ways).result()


def vips_in_order(listing: str, cluster: Cluster, protocol: str) -> Sequence[tuple[str, int]]:
    """Cluster IPs with their ports, in the order of their rules, or by number if none has one."""
    ports = {
        service.cluster_ips[0]: service.ports[0].port
        for service in cluster.services
        if service.ports[0].protocol == protocol
    }
    rules = map(_DISPATCH_RULE.match, listing.splitlines())
    in_rules = dict.fromkeys(rule["address"] for rule in rules if rule)
    by_number = sorted(ports, key=ipaddress.ip_address)
    ordered = [address for address in in_rules if address in ports] or by_number
    return [(address, ports[address]) for address in ordered]


def _of_three(vips: Sequence[tuple[str, int]], place: int) -> tuple[str, int]:
    return vips[place * (len(vips) - 1) // 2]


def _ask(ways: Mapping[Way, Questions]) -> dict[Way, Latency]:
    connects: dict[Way, list[float]] = {way: [] for way in ways}
    answers: dict[Way, list[float]] = {way: [] for way in ways}
    # In turns, so that what disturbs the machine for a while disturbs all ways alike.
    for turn in range(-1, _TURNS):
        for way, questions in ways.items():
            with entered(questions.namespace):
                connected = [_connect(questions.tcp) for _ in range(_QUESTIONS_A_TURN)]
                answered = [_exchange(questions.udp) for _ in range(_QUESTIONS_A_TURN)]
            # The first packets ever find out who has which address.
            if turn >= 0:
                connects[way] += connected
                answers[way] += answered
    return {way: Latency(median(connects[way]), median(answers[way])) for way in ways}


def _connect(target: tuple[str, int]) -> float:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _CLOSE_AT_ONCE)
        # A time-out would make it a non-blocking socket, and add a system call to what is timed.
        started = perf_counter()
        sock.connect(target)
        return perf_counter() - started


def _exchange(target: tuple[str, int]) -> float:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(_TIMEOUT_SECONDS)
        started = perf_counter()
        sock.sendto(b"?", target)
        sock.recv(16)
        return perf_counter() - started
