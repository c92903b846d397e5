# SPDX-License-Identifier: Apache-2.0
"""In which order the tables are committed when a service gets or loses its endpoints."""

from __future__ import annotations

import pytest

from dataplane.kernel.libiptc import AnyTable, TableHandle
from rules.ir import TableName
from tests.address_plan import AddressPlan
from tests.builders import local, state
from tests.kernel.node import KernelNode


@pytest.fixture
def commits(monkeypatch: pytest.MonkeyPatch) -> list[AnyTable]:
    """The tables committed, in order."""
    made: list[AnyTable] = []
    commit = TableHandle.commit

    def noted(handle: TableHandle) -> None:
        made.append(handle._table)
        commit(handle)

    monkeypatch.setattr(TableHandle, "commit", noted)
    return made


def test_translation_comes_before_the_refusal_goes(
    lone_node: KernelNode, plan: AddressPlan, commits: list[AnyTable]
) -> None:
    """A service that gets its first endpoint is never neither refused nor translated."""
    lone_node.program(plan, state(plan))
    commits.clear()

    lone_node.program(plan, state(plan, local(plan.local_pod)))

    assert commits == [TableName.NAT, TableName.FILTER]


def test_refusal_comes_before_the_translation_goes(
    lone_node: KernelNode, plan: AddressPlan, commits: list[AnyTable]
) -> None:
    """A service that loses its last endpoint is never neither refused nor translated."""
    lone_node.program(plan, state(plan, local(plan.local_pod)))
    commits.clear()

    lone_node.program(plan, state(plan))

    assert commits == [TableName.FILTER, TableName.NAT]
