# SPDX-License-Identifier: Apache-2.0
"""A service that the kernel refuses, met by a new agent: what an earlier one left goes on serving.

The new agent knows nothing of the rules that stand, and finds the culprit by trial; the trials are
commits. See test_refused.py for what makes a culprit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from typing import Final

import pytest

from dataplane.kernel.libiptc import AnyTable, TableHandle
from lab import Answered, NodeLab, Target
from rules import names
from rules.ir import TableName
from rules.model import ObjectKey, ServiceState
from tests.address_plan import AddressPlan
from tests.builders import local, service_port, state
from tests.kernel.node import KernelNode, in_both_layouts
from tests.kernel.traffic import at_once, tcp

_NUMBERS: Final = range(50)
_CULPRIT: Final = 33
_GONE: Final = 50


def _vip(plan: AddressPlan, number: int) -> str:
    """So far apart that a large cluster's tree takes more than one step to tell all of them."""
    return str(ip_address(plan.other_cluster_ip) + 1 + number * 7)


def _node_port(number: int) -> int:
    return 30000 + number * 7


def _service(
    plan: AddressPlan, number: int, *pods: str, affinity_seconds: int | None = None
) -> ServiceState:
    return state(
        plan,
        *map(local, pods),
        key=ObjectKey("default", f"service-{number}"),
        cluster_ips=(_vip(plan, number),),
        ports=(service_port(node_port=_node_port(number)),),
        affinity_seconds=affinity_seconds,
    )


def _left(plan: AddressPlan) -> list[ServiceState]:
    """What the earlier agent served: with two endpoints each."""
    pods = (plan.local_pod, plan.remote_pod)
    return [_service(plan, number, *pods) for number in (*_NUMBERS, _GONE)]


def _wanted(plan: AddressPlan) -> list[ServiceState]:
    """What the new agent is to serve: other endpoints, one service less, and one that is bad."""
    return [
        _service(
            plan,
            number,
            plan.local_pod,
            plan.other_local_pod,
            affinity_seconds=0 if number == _CULPRIT else None,
        )
        for number in _NUMBERS
    ]


@contextmanager
def _after_each_commit(check: Callable[[], None]) -> Iterator[list[AnyTable]]:
    """The tables of all commits so far; a loop beside the agent might miss what is short."""
    commits: list[AnyTable] = []
    commit = TableHandle.commit

    def watched(handle: TableHandle) -> None:
        commit(handle)
        commits.append(handle._table)
        check()

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(TableHandle, "commit", watched)
        yield commits


@in_both_layouts
def test_no_service_stops_while_a_culprit_is_looked_for(
    node: KernelNode, machines: NodeLab, plan: AddressPlan
) -> None:
    """Of fifty services one is refused; all of them, that one too, are answered all the time.

    Some are asked for by their node ports, too.
    """
    node.program(plan, *_left(plan))
    node.restart_agent()
    silent: list[Target] = []
    targets = [tcp(_vip(plan, number)) for number in _NUMBERS]
    some = (_NUMBERS[0], _CULPRIT, _NUMBERS[-1])
    targets += [tcp(plan.node_ip, _node_port(number)) for number in some]

    def ask_all() -> None:
        silent.extend(
            target
            for target in targets
            if not isinstance(at_once(machines.client, target), Answered)
        )

    with _after_each_commit(ask_all) as commits:
        report = node.program(plan, *_wanted(plan))
        assert len(commits) > 5
        node.program(plan, *_wanted(plan), verify=True)
        node.program(plan, *_wanted(plan), _service(plan, _GONE, plan.local_pod))
        assert len(commits) > 7

    assert silent == []
    assert [key.name for key in report.set_aside] == [f"service-{_CULPRIT}"]
    assert report.tables[TableName.NAT].changes.chains_created >= len(_NUMBERS) - 1


def test_only_the_culprit_keeps_what_was_left(lone_node: KernelNode, plan: AddressPlan) -> None:
    """When the culprit is found, all is as if it still were what the earlier agent made of it."""
    mixed = [
        left if wanted.service.affinity_seconds == 0 else wanted
        for left, wanted in zip(_left(plan), _wanted(plan), strict=False)
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
    mended = [_service(plan, number, plan.local_pod, plan.other_local_pod) for number in _NUMBERS]

    lone_node.program(plan, *mended)

    after = lone_node.contents(plan)
    lone_node.wipe()
    lone_node.restart_agent()
    lone_node.program(plan, *mended)
    assert after == lone_node.contents(plan)


@in_both_layouts
def test_what_serves_in_an_older_layout_stays_until_all_is_admitted(
    node: KernelNode, plan: AddressPlan
) -> None:
    """Rules that say in KUBE-SERVICES what stands elsewhere today are kept by every trial."""
    node.program(plan, *_left(plan))
    match = ("-d", plan.host(_vip(plan, 0)), "-p", "tcp", "-m", "tcp", "--dport", "80")
    node.iptables(plan, "-t", "nat", "-I", names.SERVICES, *match, "-j", names.MARK_MASQ)
    before = node.contents(plan)["nat", names.SERVICES]
    node.restart_agent()
    missing: list[list[str]] = []

    def look() -> None:
        now = node.contents(plan)["nat", names.SERVICES]
        missing.append([rule for rule in before if rule not in now])

    with _after_each_commit(look):
        node.program(plan, *_wanted(plan))

    *trials, last = missing
    assert len(trials) > 5
    assert not any(trials)
    assert any(names.MARK_MASQ in rule for rule in last)


def _sorted(node: KernelNode, plan: AddressPlan) -> dict[tuple[str, str], list[str]]:
    """All chains; rules that lead to services sorted, since that is no matter between services."""
    contents = node.contents(plan)
    for chain in (names.SERVICES, names.NODE_PORTS):
        contents["nat", chain].sort()
    return contents
