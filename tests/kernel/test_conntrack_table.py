# SPDX-License-Identifier: Apache-2.0
"""The kernel's conntrack table itself: many entries, zones, SCTP, missing privileges, settings."""

from __future__ import annotations

import logging
import socket
import struct
from collections.abc import Iterator
from dataclasses import replace
from queue import SimpleQueue

import pytest

from dataplane.conntrack.background import BackgroundReconciler
from dataplane.conntrack.errors import ConntrackError
from dataplane.conntrack.reconciler import ConntrackReconciler, ReconcileReport
from dataplane.conntrack.table import delete_entries, find_entries
from dataplane.settings import PROC_SYS, ConntrackSettings
from dataplane.sysctls import set_conntrack
from lab import wait_until
from rules.flows import Flow, FlowTarget, FlowTargets, FlowTargetsBuilder
from rules.ir import Family
from rules.model import ServiceState, ServiceType
from tests.address_plan import AddressPlan
from tests.builders import NODE_PORT, context, local, service_port, state
from tests.kernel.flows import flows_to, forget_flows
from tests.kernel.node import KernelNode
from tests.kernel.privileges import without_privileges

_MANY = 1000
_PATIENCE_SECONDS = 10.0
_INIT_CHUNK = struct.pack("!BBHLLHHL", 1, 0, 20, 0x1234, 65536, 1, 1, 1)


@pytest.fixture
def node(lone_node: KernelNode, plan: AddressPlan) -> Iterator[KernelNode]:
    """A node that tracks connections, also those to the cluster IP, which it owns itself.

    So datagrams need no other machine, and their entries are untranslated, as if they had been sent
    before the service was there.
    """
    lone_node.program(plan)
    forget_flows(lone_node.host, plan.family)
    address = f"{plan.host(plan.cluster_ip)} dev lo"
    # Without duplicate address detection, which would keep it from use for a moment.
    lone_node.host.ip(f"address add {address} nodad")
    # IPv6 has the address a moment before the route to it that delivers here.
    wait_until(
        "the cluster IP is this node's",
        lambda: _route(lone_node, plan.cluster_ip).startswith("local "),
    )
    yield lone_node
    lone_node.host.ip(f"address delete {address}")


def _route(node: KernelNode, address: str) -> str:
    return node.host.run(["ip", "route", "get", address]).stdout


def _targets(plan: AddressPlan, protocol: str = "udp", *, localhost: bool = True) -> FlowTargets:
    """The targets of a service with one endpoint."""
    port = service_port(protocol=protocol, node_port=NODE_PORT)
    one: ServiceState = state(
        plan, local(plan.local_pod), type=ServiceType.NODE_PORT, ports=(port,)
    )
    on_node = context(plan, localhost_node_ports=localhost)
    return FlowTargetsBuilder(on_node).build({one.service.key: one})


def _reconcile(node: KernelNode, plan: AddressPlan, targets: FlowTargets) -> ReconcileReport:
    reconciler = ConntrackReconciler()
    reconciler.note(plan.family, targets)
    with node.host.entered():
        report = reconciler.run(plan.family)
    assert report is not None
    return report


def _send(node: KernelNode, address: str, port: int, *, count: int = 1) -> None:
    """Send datagrams, each from a port of its own, to where nobody listens."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    for source_port in range(20_000, 20_000 + count):
        with node.host.entered(), socket.socket(family, socket.SOCK_DGRAM) as sender:
            sender.bind((address, source_port))
            sender.sendto(b"?", (address, port))


def _send_init(node: KernelNode, plan: AddressPlan) -> None:
    """Send the first packet of an SCTP association to port 80 of the cluster IP."""
    family = socket.AF_INET6 if plan.family is Family.IPV6 else socket.AF_INET
    header = struct.pack("!HHLL", 40000, 80, 0, 0)
    with (
        node.host.entered(),
        socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_SCTP) as sender,
    ):
        sender.sendto(header + _INIT_CHUNK, (plan.cluster_ip, 0))


def _count(node: KernelNode, plan: AddressPlan, address: str, number: int) -> int:
    return len(flows_to(node.host, plan.family, number, address))


def _everything(_flow: Flow) -> bool:
    return True


def test_more_entries_than_fit_into_a_message(node: KernelNode, plan: AddressPlan) -> None:
    """All stale entries go and are counted; those to another port stay."""
    _send(node, plan.cluster_ip, 80, count=_MANY)
    _send(node, plan.cluster_ip, 81, count=3)

    report = _reconcile(node, plan, _targets(plan))

    assert report.deleted == _MANY
    assert _count(node, plan, plan.cluster_ip, socket.IPPROTO_UDP) == 3


def test_entries_that_are_gone_are_not_counted(node: KernelNode, plan: AddressPlan) -> None:
    """Between the list and the deletion an entry may end on its own."""
    _send(node, plan.cluster_ip, 90, count=2)

    with node.host.entered():
        names = list(find_entries(plan.family, "udp", {90}, _everything))
        deleted = delete_entries(plan.family, [*names, *names])

    assert len(names) == 2
    assert deleted == 2


def test_sctp_entries_are_stale_as_well(node: KernelNode, plan: AddressPlan) -> None:
    """An association that began before its service goes; UDP to the same port stays."""
    _send_init(node, plan)
    _send(node, plan.cluster_ip, 80)
    assert _count(node, plan, plan.cluster_ip, socket.IPPROTO_SCTP) == 1

    report = _reconcile(node, plan, _targets(plan, "sctp"))

    assert report.deleted == 1
    assert _count(node, plan, plan.cluster_ip, socket.IPPROTO_SCTP) == 0
    assert _count(node, plan, plan.cluster_ip, socket.IPPROTO_UDP) == 1


@pytest.mark.parametrize("zone", ["--zone", "--zone-orig"])
def test_entries_of_other_zones_stay(node: KernelNode, plan: AddressPlan, zone: str) -> None:
    """Who tracks connections in a zone may use our addresses for something else."""
    _send(node, plan.cluster_ip, 80)
    for chain in ("OUTPUT", "PREROUTING"):
        rule = f"-t raw -A {chain} -p udp -j CT {zone} 7"
        node.iptables(plan, *rule.split())
    _send(node, plan.cluster_ip, 80)
    assert _count(node, plan, plan.cluster_ip, socket.IPPROTO_UDP) == 2

    report = _reconcile(node, plan, _targets(plan))

    assert report.deleted == 1
    assert _count(node, plan, plan.cluster_ip, socket.IPPROTO_UDP) == 1


@pytest.mark.parametrize("localhost", [False, True])
def test_node_ports_on_loopback(node: KernelNode, plan: AddressPlan, *, localhost: bool) -> None:
    """A local program's flow to the node port's number is its own where we do not serve it."""
    targets = _targets(plan, localhost=localhost)
    _reconcile(node, plan, targets)
    _send(node, plan.loopback, NODE_PORT)

    report = _reconcile(node, plan, targets)

    assert report.deleted == int(targets.loopback_serves_node_ports)


def test_a_failed_pass_stays_due(node: KernelNode, plan: AddressPlan) -> None:
    """Without privilege there is an error that says so; the next pass does what is left to do."""
    reconciler = ConntrackReconciler()
    targets = _targets(plan)
    _send(node, plan.cluster_ip, 80)
    with node.host.entered():
        assert reconciler.note(plan.family, targets)
        with without_privileges(), pytest.raises(ConntrackError, match="NET_ADMIN"):
            reconciler.run(plan.family)

        assert reconciler.note(plan.family, targets), "although nothing has changed"
        report = reconciler.run(plan.family)

        assert report is not None
        assert report.deleted == 1
        assert not reconciler.note(plan.family, targets)
        assert reconciler.run(plan.family) is None


def test_a_defect_does_not_end_the_background_thread(
    node: KernelNode, plan: AddressPlan, caplog: pytest.LogCaptureFixture
) -> None:
    """What nobody foresaw, here a protocol without flows, is logged, and the next pass is made."""
    passes: SimpleQueue[tuple[Family, ReconcileReport]] = SimpleQueue()
    background = BackgroundReconciler(lambda *one: passes.put(one))
    with node.host.entered():
        background.start()
    background.note(plan.family, FlowTargets({FlowTarget("icmp", plan.cluster_ip, 1): frozenset()}))
    wait_until("the defect is logged", lambda: any(one.exc_info for one in caplog.records))

    other = Family.IPV4 if plan.family is Family.IPV6 else Family.IPV6
    background.note(other, _targets(plan))
    family, _ = passes.get(timeout=_PATIENCE_SECONDS)
    background.stop()

    assert family is other


def test_passes_that_fail_are_repeated_more_and_more_rarely(
    node: KernelNode, plan: AddressPlan, caplog: pytest.LogCaptureFixture
) -> None:
    """However many syncs there are meanwhile: each pass may read a large table in vain."""
    background = BackgroundReconciler(lambda *_: None)
    targets = _targets(plan)
    with node.host.entered():
        background.start()
    with without_privileges():
        background.note(plan.family, targets)
        wait_until("the failure is logged", lambda: len(caplog.records) == 1)
        for _ in range(50):
            background.note(plan.family, targets)
        wait_until("the pass is repeated", lambda: len(caplog.records) > 1)
        assert len(caplog.records) == 2
        background.stop()


def test_the_background_thread(
    node: KernelNode, plan: AddressPlan, caplog: pytest.LogCaptureFixture
) -> None:
    """It makes the passes that are due, one after the other, and survives one that fails."""
    passes: SimpleQueue[tuple[Family, ReconcileReport]] = SimpleQueue()
    background = BackgroundReconciler(lambda *one: passes.put(one))
    with node.host.entered():
        background.start()
    served, gone = _targets(plan), FlowTargets({})
    with without_privileges():
        background.note(plan.family, served)
        wait_until("the failure is logged", lambda: bool(caplog.records))

    _send(node, plan.cluster_ip, 80)
    background.note(plan.family, served)
    family, first = passes.get(timeout=_PATIENCE_SECONDS)
    background.note(plan.family, gone)
    _, second = passes.get(timeout=_PATIENCE_SECONDS)
    background.stop()

    assert "stale" in caplog.text
    assert "NET_ADMIN" in caplog.text
    assert family is plan.family
    assert (first.deleted, second.deleted) == (1, 0)


_TIMEOUTS = ConntrackSettings(
    tcp_established_timeout_seconds=86_401.0,
    tcp_close_wait_timeout_seconds=3_601.0,
    tcp_be_liberal=True,
    udp_timeout_seconds=31.0,
    udp_stream_timeout_seconds=121.0,
)


def _settings(node: KernelNode) -> list[str]:
    names = (
        "tcp_timeout_established",
        "tcp_timeout_close_wait",
        "tcp_be_liberal",
        "udp_timeout",
        "udp_timeout_stream",
    )
    return [node.host.sysctl(f"net.netfilter.nf_conntrack_{name}") for name in names]


def test_settings_are_written_to_the_kernel(lone_node: KernelNode) -> None:
    """The kernel has settings of these names and takes these values for them."""
    with lone_node.host.entered():
        set_conntrack(_TIMEOUTS, 1, PROC_SYS)

    assert _settings(lone_node) == ["86401", "3601", "1", "31", "121"]


def test_settings_that_the_kernel_refuses_are_warnings(
    lone_node: KernelNode, caplog: pytest.LogCaptureFixture
) -> None:
    """Without the right to write there is a warning for each setting, and no error."""
    before = _settings(lone_node)
    others = replace(_TIMEOUTS, udp_timeout_seconds=77.0, udp_stream_timeout_seconds=177.0)

    with lone_node.host.entered(), without_privileges():
        set_conntrack(others, 1, PROC_SYS)

    refused = [one.message for one in caplog.records if one.levelno == logging.WARNING]
    assert len([one for one in refused if "Permission denied; it stays as it is" in one]) >= 2
    assert _settings(lone_node) == before
