# SPDX-License-Identifier: Apache-2.0
"""Other programs that write to the same tables at the same time."""

from __future__ import annotations

import fcntl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from dataplane.cleanup import CleanupError
from dataplane.errors import ConflictError, LockTimeoutError
from dataplane.kernel.libiptc import TableHandle
from rules.ir import TableName
from rules.model import ObjectKey, ServiceState
from tests.address_plan import IPV4, AddressPlan
from tests.builders import local, state
from tests.kernel.node import PROGRAMS, KernelNode

_WRITERS: Final = ("ALPHA", "BETA", "GAMMA")
_ROUNDS: Final = 40
_WRITE_IN_TURN: Final = """
set -e
program=$1; chain=$2; rounds=$3
for round in $(seq "$rounds"); do
  "$program" -w 30 -t nat -A "$chain" -m comment --comment "$round" -j RETURN
  "$program" -w 30 -t nat -R "$chain" 1 -m comment --comment "replaced $round" -j RETURN
done
"""
_FOREIGN_RULE: Final = ("-t", "nat", "-A", "PREROUTING", "-i", "theirs", "-j", "RETURN")
_OTHER: Final = ObjectKey("default", "other")


def _web(plan: AddressPlan, *pods: str) -> ServiceState:
    return state(plan, *map(local, pods))


def _other(plan: AddressPlan) -> ServiceState:
    address = plan.other_cluster_ip
    return state(plan, local(plan.remote_pod), key=_OTHER, cluster_ips=(address,))


@contextmanager
def _held(lock_file: Path) -> Iterator[None]:
    with lock_file.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def test_nobody_loses_anything(lone_node: KernelNode, tmp_path: Path) -> None:
    """Programs that add and replace rules while we sync find all their rules, and we ours."""
    for chain in _WRITERS:
        lone_node.iptables(IPV4, "-t", "nat", "-N", chain)
        lone_node.iptables(IPV4, "-t", "nat", "-A", chain, "-j", "RETURN")
    shapes = (
        (_web(IPV4, IPV4.local_pod),),
        (_web(IPV4, IPV4.local_pod, IPV4.remote_pod), _other(IPV4)),
        (_web(IPV4, IPV4.other_local_pod, IPV4.remote_pod),),
    )
    writers = [
        lone_node.host.popen(
            ["sh", "-c", _WRITE_IN_TURN, "sh", "iptables-legacy", chain, str(_ROUNDS)],
            log=tmp_path / chain,
        )
        for chain in _WRITERS
    ]

    syncs = 0
    while any(writer.poll() is None for writer in writers):
        # Forgetful in every other round, so that whole tables are compared as well.
        if syncs % 2:
            lone_node.restart_agent()
        lone_node.program(IPV4, *shapes[syncs % len(shapes)])
        syncs += 1

    assert [(tmp_path / chain).read_text() for chain in _WRITERS] == [""] * len(_WRITERS)
    for chain in _WRITERS:
        comments = [rule.split("--comment ")[1] for rule in _rules(lone_node, chain)]
        appended = [f"{number} -j RETURN" for number in range(1, _ROUNDS + 1)]
        assert comments == [f'"replaced {_ROUNDS}" -j RETURN', *appended]
    assert syncs >= len(shapes)
    report = lone_node.program(IPV4, *shapes[(syncs - 1) % len(shapes)], verify=True)
    assert all(table.is_empty for table in report.tables.values())


def test_a_writer_that_ignores_the_lock_loses_nothing(
    lone_node: KernelNode, plan: AddressPlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rule added between our read and our commit stands beside ours: we read again."""
    lone_node.program(plan)
    interruptions = _interrupt_commits(lone_node, plan, monkeypatch, count=2)

    lone_node.program(plan, _web(plan, plan.local_pod))

    assert len(interruptions) == 2
    assert _theirs(lone_node, plan) == 2
    monkeypatch.undo()
    monkeypatch.setenv("XTABLES_LOCKFILE", str(lone_node.host.lock_file))
    report = lone_node.program(plan, _web(plan, plan.local_pod), verify=True)
    assert all(table.is_empty for table in report.tables.values())


def test_a_writer_that_never_rests_leaves_whole_tables(
    lone_node: KernelNode, plan: AddressPlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If somebody comes in between each time, we give up with nothing of ours half changed."""
    lone_node.program(plan, _web(plan, plan.local_pod))
    before = lone_node.contents(plan)
    interruptions = _interrupt_commits(lone_node, plan, monkeypatch, count=99)

    with pytest.raises(ConflictError, match="ignores the xtables lock"):
        lone_node.program(plan, _web(plan, plan.local_pod, plan.remote_pod))

    after = lone_node.contents(plan)
    assert _theirs(lone_node, plan) == len(interruptions) > 1
    assert {place: rules for place, rules in after.items() if place != ("nat", "PREROUTING")} == {
        place: rules for place, rules in before.items() if place != ("nat", "PREROUTING")
    }


def test_a_lock_that_is_held_too_long_changes_nothing(
    lone_node: KernelNode, plan: AddressPlan
) -> None:
    """Without the lock nothing is written, the error names the file, and later it works."""
    lone_node.program(plan, _web(plan, plan.local_pod), lock_timeout_seconds=0.2)
    before = lone_node.contents(plan)
    changed = _web(plan, plan.local_pod, plan.remote_pod)

    with _held(lone_node.host.lock_file), pytest.raises(LockTimeoutError) as caught:
        lone_node.program(plan, changed)

    assert str(lone_node.host.lock_file) in str(caught.value)
    assert lone_node.contents(plan) == before
    report = lone_node.program(plan, changed)
    assert report.tables[TableName.NAT].changes


def test_a_clean_up_without_the_lock_says_what_to_do(
    lone_node: KernelNode, plan: AddressPlan
) -> None:
    """It is not tried again by itself, and does not say so."""
    lone_node.program(plan, _web(plan, plan.local_pod))

    with _held(lone_node.host.lock_file), pytest.raises(CleanupError) as caught:
        lone_node.clean_up(plan, lock_timeout_seconds=0.2)

    assert f"held the xtables lock {lone_node.host.lock_file}" in str(caught.value)
    assert str(caught.value).endswith("run cleanup again, some rules remain")


def test_a_lock_that_is_held_for_a_moment_is_waited_for(
    lone_node: KernelNode, plan: AddressPlan, tmp_path: Path
) -> None:
    """A sync that finds the lock taken goes on as soon as it is given back."""
    lock_file = str(lone_node.host.lock_file)
    signal = tmp_path / "held"
    holder = subprocess.Popen(
        ["flock", lock_file, "sh", "-c", f"touch {signal}; sleep 0.3"],
    )
    while not signal.exists():
        assert holder.poll() is None

    report = lone_node.program(plan, _web(plan, plan.local_pod))

    assert report.tables[TableName.NAT].changes
    assert holder.wait(timeout=5) == 0


def _rules(node: KernelNode, chain: str) -> list[str]:
    return node.chain(IPV4, TableName.NAT, chain)


def _theirs(node: KernelNode, plan: AddressPlan) -> int:
    return sum("theirs" in rule for rule in node.chain(plan, TableName.NAT, "PREROUTING"))


def _interrupt_commits(
    node: KernelNode, plan: AddressPlan, monkeypatch: pytest.MonkeyPatch, *, count: int
) -> list[int]:
    """Let somebody who has another idea of the lock file write right before our commits."""
    interruptions: list[int] = []
    commit = TableHandle.commit

    def interrupted(handle: TableHandle) -> None:
        if len(interruptions) < count:
            interruptions.append(len(interruptions))
            elsewhere = f"XTABLES_LOCKFILE={node.host.lock_file}.elsewhere"
            node.host.run(["env", elsewhere, PROGRAMS[plan.family], *_FOREIGN_RULE])
        commit(handle)

    monkeypatch.setattr(TableHandle, "commit", interrupted)
    return interruptions
