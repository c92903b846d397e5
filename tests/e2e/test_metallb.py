# SPDX-License-Identifier: Apache-2.0
"""The user's document for real: MetalLB gives ``default/web`` an address, and clients reach it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from kube.programs import ProgramSet, programs_folder
from lab import Answered, Host, TimedOut, Unreachable, wait_until
from lab.node import LAN
from lab.plan import CLIENT, OTHER_CLIENT
from tests.e2e.cluster import Cluster
from tests.e2e.document import ADDRESS, NAMESPACE, PODS, Document
from tests.e2e.evidence import keep_evidence
from tests.e2e.metallb import MetalLb, running_metallb
from tests.e2e.stage import Stage

_POOL: Final = "198.51.100.0/24"
_SECONDS: Final = 30.0
_ENOUGH_QUESTIONS: Final = 30
_NEIGHBOUR_SECONDS: Final = 10.0
"""More than the kernel takes to give up asking who has an address."""


pytestmark = pytest.mark.xdist_group("metallb")


@pytest.fixture(scope="module")
def metallb(cluster: Cluster) -> Iterator[MetalLb]:
    """MetalLB at work; the client believes that the pool's addresses are on its own net."""
    with running_metallb(cluster, programs_folder(ProgramSet.METALLB)) as metallb:
        cluster.client.ip(f"route add {_POOL} dev {LAN} src {CLIENT.ipv4}")
        yield metallb
        cluster.client.ip(f"route delete {_POOL} dev {LAN}")


@pytest.fixture
def document(
    cluster: Cluster, metallb: MetalLb, evidence: Path, request: pytest.FixtureRequest
) -> Iterator[Document]:
    """The Service of the document, while MetalLB has no address to give."""
    failed_before = request.session.testsfailed
    _forget_neighbours(cluster)
    document = Document(cluster)
    yield document
    if request.session.testsfailed > failed_before:
        folder = evidence / request.node.name
        keep_evidence(Stage.of(cluster, NAMESPACE), folder, f"{request.node.nodeid} failed")
    try:
        for proxy in cluster.proxies.values():
            proxy.check()
        metallb.check()
    finally:
        document.remove()
        metallb.withdraw()


@pytest.fixture
def served(document: Document, metallb: MetalLb) -> Document:
    """The same with an address, by which the client reaches it."""
    metallb.offer(_POOL)
    wait_until(
        "the client is answered", lambda: isinstance(document.ask(), Answered), seconds=_SECONDS
    )
    return document


def test_a_pending_service_gets_an_address(document: Document, metallb: MetalLb) -> None:
    """It is served at its cluster IP only until there is a pool, then at the address as well."""
    document.wait_until_served()
    assert document.ingress() == []

    metallb.offer(_POOL)

    wait_until("it has an address", lambda: document.ingress() != [], seconds=_SECONDS)
    assert document.ingress() == [ADDRESS]
    document.wait_for_rules("the address is served", lambda rules: f"-d {ADDRESS}/32" in rules)


@pytest.mark.classic_layout
def test_nodes_list_the_rules_of_the_document(cluster: Cluster, served: Document) -> None:
    """Each node lists the chains that serve it as the document shows them."""
    for node in cluster.machines.nodes.values():
        assert served.listing(node) == served.expected_listing()


def test_the_client_finds_the_address_by_arp(
    cluster: Cluster, served: Document, metallb: MetalLb
) -> None:
    """The speaker of one node answers with that node's MAC address, and both pods are reached."""
    wait_until("a speaker says so", lambda: bool(metallb.announcers("web")), seconds=_SECONDS)
    (announcer,) = metallb.announcers("web")

    (neighbour,) = _ip(cluster.client, "neigh", "show", ADDRESS, "dev", LAN)
    (device,) = _ip(cluster.machines.nodes[announcer], "link", "show", "eth0")
    assert neighbour["lladdr"] == device["address"]
    assert {served.answering_pod() for _ in range(_ENOUGH_QUESTIONS)} == set(PODS)


def test_source_ranges_keep_other_clients_out(served: Document) -> None:
    """Who is not of ``loadBalancerSourceRanges`` is not answered for as long as there are any."""
    assert isinstance(served.ask(OTHER_CLIENT.ipv4), Answered)

    served.set_source_ranges(f"{CLIENT.ipv4}/32")
    wait_until(
        "the other client is kept out",
        lambda: isinstance(served.ask(OTHER_CLIENT.ipv4), TimedOut),
        seconds=_SECONDS,
    )
    assert isinstance(served.ask(), Answered)

    served.set_source_ranges()
    wait_until(
        "the other client is let in",
        lambda: isinstance(served.ask(OTHER_CLIENT.ipv4), Answered),
        seconds=_SECONDS,
    )


def test_a_deleted_service_gives_its_address_back(
    cluster: Cluster, served: Document, metallb: MetalLb
) -> None:
    """The pool has it again, no node has a rule about it, and nobody answers for it by ARP."""
    wait_until("it is assigned", lambda: metallb.assigned() == 1, seconds=_SECONDS)

    served.delete_service()

    wait_until("it is given back", lambda: metallb.assigned() == 0, seconds=_SECONDS)
    served.wait_for_rules("no rule is about it", lambda rules: ADDRESS not in rules)
    wait_until("no speaker has it", lambda: not metallb.announcers("web"), seconds=_SECONDS)
    _forget_neighbours(cluster)
    assert isinstance(served.ask(seconds=_NEIGHBOUR_SECONDS), Unreachable)


def _forget_neighbours(cluster: Cluster) -> None:
    """Whom the client found before says nothing about now."""
    cluster.client.ip(f"neigh flush to {_POOL}")


def _ip(host: Host, *arguments: str) -> list[dict[str, Any]]:
    """What ``ip`` shows."""
    found: list[dict[str, Any]] = json.loads(host.run(["ip", "-json", *arguments]).stdout)
    return found
