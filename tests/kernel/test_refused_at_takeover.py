# SPDX-License-Identifier: Apache-2.0
"""A service that the kernel refuses, met by a new agent: what an earlier one left goes on serving.

The new agent knows nothing of the rules that stand, and finds the culprit by trial; the trials are
commits. See test_refused.py for what makes a culprit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import pytest

from dataplane.kernel.libiptc import ForeignTable, TableHandle
from lab import Answered, NodeLab, probe
from rules import names
from rules.ir import TableName
from rules.model import ObjectKey, ServiceState
from tests.address_plan import AddressPlan
from tests.builders import local, service_port, state
from tests.kernel.node import KernelNode
from tests.kernel.traffic import tcp

_PORTS: Final = range(1000, 1050)
_CULPRIT: Final = 1033
_GONE: Final = 1050


def _service(
    plan: AddressPlan, port: int, *pods: str, affinity_seconds: int | None = None
) -> ServiceState:
    return state(
        plan,
        *map(local, pods),
        key=ObjectKey("default", f"service-{port}"),
        ports=(service_port(port),),
        affinity_seconds=affinity_seconds,
    )


def _left(plan: AddressPlan) -> list[ServiceState]:
    """What the earlier agent served."""
    return [_service(plan, port, plan.local_pod) for port in (*_PORTS, _GONE)]


def _wanted(plan: AddressPlan) -> list[ServiceState]:
    """What the new agent is to serve: other endpoints, one service less, and one that is bad."""
    return [
        _service(
            plan,
            port,
            plan.local_pod,
            plan.other_local_pod,
            affinity_seconds=0 if port == _CULPRIT else None,
        )
        for port in _PORTS
    ]


@contextmanager
def _after_each_commit(check: Callable[[], None]) -> Iterator[list[TableName | ForeignTable]]:
    """The tables of all commits so far; a loop beside the agent might miss what is short."""
    commits: list[TableName | ForeignTable] = []
    commit = TableHandle.commit

    def watched(handle: TableHandle) -> None:
        commit(handle)
        commits.append(handle._table)
        check()

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(TableHandle, "commit", watched)
        yield commits


def test_no_service_stops_while_a_culprit_is_looked_for(
    node: KernelNode, machines: NodeLab, plan: AddressPlan
) -> None:
    """Of fifty services one is refused; all of them, that one too, are answered all the time."""
    node.program(plan, *_left(plan))
    node.restart_agent()
    silent: list[int] = []

    def ask_all() -> None:
        silent.extend(
            port
            for port in _PORTS
            if not isinstance(probe(machines.client, tcp(plan.cluster_ip, port)), Answered)
        )

    with _after_each_commit(ask_all) as commits:
        report = node.program(plan, *_wanted(plan))

    assert silent == []
    assert len(commits) > 5
    assert [key.name for key in report.set_aside] == [f"service-{_CULPRIT}"]
    assert report.tables[TableName.NAT].changes.chains_created >= len(_PORTS) - 1


def test_only_the_culprit_keeps_what_was_left(lone_node: KernelNode, plan: AddressPlan) -> None:
    """When the culprit is found, all is as if it still were what the earlier agent made of it."""
    mixed = [
        _service(plan, _CULPRIT, plan.local_pod) if one.service.affinity_seconds == 0 else one
        for one in _wanted(plan)
    ]
    lone_node.program(plan, *mixed)
    expected = _sorted(lone_node, plan)
    lone_node.wipe()
    lone_node.restart_agent()
    lone_node.program(plan, *_left(plan))
    lone_node.restart_agent()

    lone_node.program(plan, *_wanted(plan))
    assert _sorted(lone_node, plan) == expected
    assert "KUBE-NODEPORTS" in lone_node.chain(plan, TableName.NAT, names.SERVICES)[-1]

    # Neither verification, which tries it again, nor a change of others takes it away.
    lone_node.program(plan, *_wanted(plan), verify=True)
    assert _sorted(lone_node, plan) == expected
    others = [one for one in _wanted(plan) if one.service.affinity_seconds is None]
    lone_node.program(plan, *_wanted(plan), _service(plan, _GONE, plan.local_pod))
    report = lone_node.program(plan, *_wanted(plan))
    assert _sorted(lone_node, plan) == expected
    assert not report.has_repairs

    # With its Service it goes.
    lone_node.program(plan, *others)
    after = lone_node.contents(plan)
    lone_node.wipe()
    lone_node.restart_agent()
    lone_node.program(plan, *others)
    assert after == lone_node.contents(plan)


def test_a_culprit_that_is_mended_replaces_what_was_left(
    lone_node: KernelNode, plan: AddressPlan
) -> None:
    """Once its rules are good nothing of the earlier agent stays."""
    lone_node.program(plan, *_left(plan))
    lone_node.restart_agent()
    lone_node.program(plan, *_wanted(plan))
    mended = [
        _service(plan, one.service.ports[0].port, plan.local_pod, plan.other_local_pod)
        for one in _wanted(plan)
    ]

    lone_node.program(plan, *mended)

    after = lone_node.contents(plan)
    lone_node.wipe()
    lone_node.restart_agent()
    lone_node.program(plan, *mended)
    assert after == lone_node.contents(plan)


def test_what_serves_in_an_older_layout_stays_until_all_is_admitted(
    lone_node: KernelNode, plan: AddressPlan
) -> None:
    """Rules that say in KUBE-SERVICES what stands elsewhere today are kept by every trial."""
    lone_node.program(plan, *_left(plan))
    address, port = plan.host(plan.cluster_ip), str(_PORTS[0])
    match = ("-d", address, "-p", "tcp", "-m", "tcp", "--dport", port)
    lone_node.iptables(plan, "-t", "nat", "-I", names.SERVICES, *match, "-j", names.MARK_MASQ)
    before = lone_node.contents(plan)["nat", names.SERVICES]
    lone_node.restart_agent()
    missing: list[list[str]] = []

    def look() -> None:
        now = lone_node.contents(plan)["nat", names.SERVICES]
        missing.append([rule for rule in before if rule not in now])

    with _after_each_commit(look):
        lone_node.program(plan, *_wanted(plan))

    *trials, last = missing
    assert len(trials) > 5
    assert not any(trials)
    assert len(last) == 2
    assert names.MARK_MASQ in last[0]


def _sorted(node: KernelNode, plan: AddressPlan) -> dict[tuple[str, str], list[str]]:
    """All chains; the rules of KUBE-SERVICES sorted, since that is no matter between services."""
    contents = node.contents(plan)
    contents["nat", names.SERVICES].sort()
    return contents
