# SPDX-License-Identifier: Apache-2.0
"""What a sync leaves alone: everything that is right already."""

from __future__ import annotations

import re
from typing import NoReturn

import pytest

from dataplane.kernel import applier
from dataplane.kernel.libiptc import TableHandle
from rules.model import ObjectKey, ServiceState
from tests.address_plan import AddressPlan
from tests.builders import local, remote, service_port, state
from tests.kernel.node import KernelNode

_OTHER = ObjectKey("default", "other")


def _services(plan: AddressPlan, *web_pods: str) -> tuple[ServiceState, ...]:
    return (
        state(plan, *map(local, web_pods), external_ips=(plan.external_ip,)),
        state(
            plan,
            remote(plan.remote_pod),
            key=_OTHER,
            cluster_ips=(plan.other_cluster_ip,),
            ports=(service_port(8080),),
        ),
    )


def _forbidden(*_: object) -> NoReturn:
    raise AssertionError("nothing was to be done")


@pytest.mark.parametrize("restarted", [False, True])
def test_the_second_sync_writes_nothing(
    lone_node: KernelNode, plan: AddressPlan, monkeypatch: pytest.MonkeyPatch, *, restarted: bool
) -> None:
    """A sync of what stands already commits no table: by the same agent or a new one."""
    services = _services(plan, plan.local_pod)
    lone_node.program(plan, *services)
    before = lone_node.save(plan)
    if restarted:
        lone_node.restart_agent()
    monkeypatch.setattr(TableHandle, "commit", _forbidden)

    report = lone_node.program(plan, *services, verify=not restarted)

    assert all(table.is_empty for table in report.tables.values())
    assert lone_node.save(plan) == before


def test_a_sync_without_change_reads_no_table(
    lone_node: KernelNode, plan: AddressPlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between verifications a sync that has nothing new asks the kernel for table sizes only."""
    services = _services(plan, plan.local_pod)
    lone_node.program(plan, *services)
    monkeypatch.setattr(applier, "open_table", _forbidden)

    report = lone_node.program(plan, *services)

    assert all(table.is_empty for table in report.tables.values())


@pytest.mark.parametrize("verified_before", [False, True])
def test_verifying_what_is_right_takes_no_lock(
    lone_node: KernelNode,
    plan: AddressPlan,
    monkeypatch: pytest.MonkeyPatch,
    *,
    verified_before: bool,
) -> None:
    """All rules are verified beside other writers, whatever their counters say by then."""
    services = _services(plan, plan.local_pod)
    lone_node.program(plan, *services)
    if verified_before:
        lone_node.program(plan, *services, verify=True)
    _give_each_rule_its_own_counters(lone_node, plan)
    monkeypatch.setattr(applier, "xtables_lock", _forbidden)

    for _ in range(2):
        report = lone_node.program(plan, *services, verify=True)
        assert all(table.is_empty for table in report.tables.values())


def test_rules_known_to_be_right_are_not_compared_again(
    lone_node: KernelNode, plan: AddressPlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the second verification on a table is only looked at as a whole, counters aside."""
    services = _services(plan, plan.local_pod)
    lone_node.program(plan, *services)
    lone_node.program(plan, *services, verify=True)
    monkeypatch.setattr(applier, "is_as_desired", _forbidden)
    _give_each_rule_its_own_counters(lone_node, plan)

    for _ in range(2):
        report = lone_node.program(plan, *services, verify=True)
        assert all(table.is_empty for table in report.tables.values())


def test_a_strangers_rule_is_no_reason_to_take_the_lock(
    lone_node: KernelNode, plan: AddressPlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When others change a table's size, ours is looked at once, found right and left alone."""
    services = _services(plan, plan.local_pod)
    lone_node.program(plan, *services)
    lone_node.iptables(plan, "-t", "nat", "-N", "THEIRS")
    lone_node.iptables(plan, "-t", "nat", "-A", "OUTPUT", "-j", "THEIRS")
    monkeypatch.setattr(applier, "xtables_lock", _forbidden)

    first = lone_node.program(plan, *services)
    monkeypatch.setattr(applier, "is_as_desired", _forbidden)
    second = lone_node.program(plan, *services)

    assert all(table.is_empty for one in (first, second) for table in one.tables.values())


def test_rules_that_stay_keep_their_counters(lone_node: KernelNode, plan: AddressPlan) -> None:
    """A new endpoint changes no counter of a rule that stood before and stands after."""
    pods = plan.local_pod, plan.remote_pod
    lone_node.program(plan, *_services(plan, *pods))
    _give_each_rule_its_own_counters(lone_node, plan)
    before = _counters_by_rule(lone_node, plan)

    lone_node.program(plan, *_services(plan, *pods, plan.other_local_pod))

    after = _counters_by_rule(lone_node, plan)
    staying = before.keys() & after.keys()
    # The odds of the first endpoint change, and nothing else that stood before.
    assert len(before) - len(staying) == 1
    assert {rule: after[rule] for rule in staying} == {rule: before[rule] for rule in staying}
    assert {after[rule] for rule in after.keys() - staying} == {"[0:0]"}


def _give_each_rule_its_own_counters(node: KernelNode, plan: AddressPlan) -> None:
    numbered = [
        re.sub(r"^\[0:0\] -A", f"[{number}:{number * 100}] -A", line)
        for number, line in enumerate(node.save(plan, counters=True), start=1)
    ]
    node.restore(plan, "\n".join(numbered) + "\n")


def _counters_by_rule(node: KernelNode, plan: AddressPlan) -> dict[str, str]:
    """Counters of all rules in the tables; no rule of these services stands in two tables."""
    lines = (line.partition(" ") for line in node.save(plan, counters=True))
    return {rule: counters for counters, _, rule in lines if counters.startswith("[")}
