# SPDX-License-Identifier: Apache-2.0
"""A rule that the kernel refuses: its service is found and set aside, all others are served.

Such a service cannot come from the API: a time-out of 0 seconds is refused when it is decoded. The
kernel's recent match refuses it as well, which makes it a culprit at hand.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import pytest

from dataplane.errors import CommitRefusedError
from dataplane.kernel.libiptc import TableHandle
from rules.ir import TableName
from rules.model import ObjectKey, ServiceState
from tests.address_plan import AddressPlan
from tests.builders import local, service_port, state
from tests.kernel.node import KernelNode

_CULPRIT: Final = ObjectKey("default", "culprit")
_OTHERS: Final = tuple(ObjectKey("default", f"good-{number}") for number in range(6))


def _service(
    plan: AddressPlan, key: ObjectKey, *pods: str, affinity_seconds: int | None = None
) -> ServiceState:
    port = service_port(1000 + sum(key.name.encode()) % 1000)
    return state(plan, *map(local, pods), key=key, ports=(port,), affinity_seconds=affinity_seconds)


def _good(plan: AddressPlan) -> tuple[ServiceState, ...]:
    return tuple(_service(plan, key, plan.local_pod) for key in _OTHERS)


def _bad(plan: AddressPlan) -> ServiceState:
    return _service(plan, _CULPRIT, plan.local_pod, plan.remote_pod, affinity_seconds=0)


def test_the_culprit_alone_is_set_aside(lone_node: KernelNode, plan: AddressPlan) -> None:
    """Of a first load all but the refused service stand; the report says which, and why."""
    lone_node.program(plan, *_good(plan))
    expected = lone_node.contents(plan)
    lone_node.wipe()
    lone_node.restart_agent()

    report = lone_node.program(plan, *_good(plan), _bad(plan))

    assert lone_node.contents(plan) == expected
    assert report.set_aside.keys() == {_CULPRIT}
    assert "nat was refused: Invalid argument" in report.set_aside[_CULPRIT]


def test_a_service_without_a_form_in_the_kernel_is_set_aside(
    lone_node: KernelNode, plan: AddressPlan
) -> None:
    """A rule that cannot even be encoded is treated like one that the kernel refuses."""
    lone_node.program(plan, *_good(plan))
    expected = lone_node.contents(plan)
    port = service_port(2000, protocol="dccp")
    bad = state(plan, local(plan.local_pod), key=_CULPRIT, ports=(port,))

    report = lone_node.program(plan, *_good(plan), bad)

    assert lone_node.contents(plan) == expected
    assert report.set_aside.keys() == {_CULPRIT}
    assert "no port match for protocol 'dccp'" in report.set_aside[_CULPRIT]


def test_two_culprits_are_both_found(lone_node: KernelNode, plan: AddressPlan) -> None:
    """Each refused service is named, however many there are."""
    second = _service(plan, _OTHERS[3], plan.local_pod, affinity_seconds=0)
    good = [one for one in _good(plan) if one.service.key != _OTHERS[3]]

    report = lone_node.program(plan, *good, second, _bad(plan))

    assert report.set_aside.keys() == {_CULPRIT, _OTHERS[3]}
    assert _cluster_ip_rules(lone_node, plan) == len(good)


def test_the_culprit_keeps_what_it_had(lone_node: KernelNode, plan: AddressPlan) -> None:
    """A service that turns bad is served as before, while others are changed in the same sync."""
    before = _service(plan, _CULPRIT, plan.local_pod)
    lone_node.program(plan, *_good(plan), before)
    changed = _service(plan, _OTHERS[0], plan.other_local_pod, plan.remote_pod)
    lone_node.restart_agent()
    lone_node.program(plan, changed, *_good(plan)[1:], before)
    expected = lone_node.contents(plan)
    lone_node.restart_agent()
    lone_node.program(plan, *_good(plan), before)

    report = lone_node.program(plan, changed, *_good(plan)[1:], _bad(plan))

    assert lone_node.contents(plan) == expected
    assert report.set_aside.keys() == {_CULPRIT}


def test_the_culprit_recovers_when_it_changes(lone_node: KernelNode, plan: AddressPlan) -> None:
    """A set-aside service is programmed as soon as its rules are good again."""
    lone_node.program(plan, *_good(plan), _bad(plan))
    mended = _service(plan, _CULPRIT, plan.local_pod, affinity_seconds=60)

    report = lone_node.program(plan, *_good(plan), mended)

    assert report.set_aside == {}
    assert _cluster_ip_rules(lone_node, plan) == len(_OTHERS) + 1


def test_a_known_culprit_is_not_tried_again_until_verification(
    lone_node: KernelNode, plan: AddressPlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Syncs go on around a set-aside service without offering it to the kernel each time."""
    good, bad = _good(plan), _bad(plan)
    lone_node.program(plan, *good, bad)
    refusals = _count_refusals(monkeypatch)

    changed = _service(plan, _OTHERS[0], plan.other_local_pod)
    report = lone_node.program(plan, changed, *good[1:], bad)
    assert report.set_aside.keys() == {_CULPRIT}
    assert refusals == []

    lone_node.program(plan, changed, *good[1:], bad, verify=True)
    assert refusals != []


def test_broken_rules_keep_what_stood_when_the_node_changes(
    lone_node: KernelNode, plan: AddressPlan
) -> None:
    """A service that our checks refuse is served as before, for a node that has changed, too."""
    before = _service(plan, _CULPRIT, plan.local_pod)
    lone_node.program(plan, *_good(plan), before, masquerade_all=True)
    broken = before._replace(service=replace(before.service, ports=(None,)))  # type: ignore[arg-type] # a defect on purpose

    report = lone_node.program(plan, *_good(plan), broken, masquerade_all=False)

    assert report.set_aside.keys() == {_CULPRIT}
    assert _cluster_ip_rules(lone_node, plan) == len(_OTHERS) + 1


@pytest.mark.parametrize("damage", ["deleted", "renamed"])
def test_damage_is_not_blamed_on_a_service(
    lone_node: KernelNode, plan: AddressPlan, damage: str
) -> None:
    """If the chains that a new rule needs were taken away, they are repaired first.

    Renaming a chain leaves the table's size as it was, so nothing tells of it beforehand.
    """
    lone_node.program(plan, *_good(plan))
    if damage == "deleted":
        lone_node.iptables(plan, "-t", "nat", "-F")
        lone_node.iptables(plan, "-t", "nat", "-X")
    else:
        lone_node.iptables(plan, "-t", "nat", "-E", "KUBE-MARK-MASQ", "KUBE-MARK-ELSE")
    added = _service(plan, _CULPRIT, plan.local_pod)

    report = lone_node.program(plan, *_good(plan), added)

    assert report.set_aside == {}
    assert report.tables[TableName.NAT].repairs
    assert _cluster_ip_rules(lone_node, plan) == len(_OTHERS) + 1


def _cluster_ip_rules(node: KernelNode, plan: AddressPlan) -> int:
    return sum("cluster IP" in rule for rule in node.chain(plan, TableName.NAT, "KUBE-SERVICES"))


def _count_refusals(monkeypatch: pytest.MonkeyPatch) -> list[CommitRefusedError]:
    refusals: list[CommitRefusedError] = []
    commit = TableHandle.commit

    def watched(handle: TableHandle) -> None:
        try:
            commit(handle)
        except CommitRefusedError as error:
            refusals.append(error)
            raise

    monkeypatch.setattr(TableHandle, "commit", watched)
    return refusals
