# SPDX-License-Identifier: Apache-2.0
"""Tables read in one piece, next to what libiptc makes of the same tables."""

from __future__ import annotations

import pytest

from dataplane.errors import ConflictError
from dataplane.kernel.layout import ENTRY_LAYOUTS
from dataplane.kernel.libiptc import open_table
from dataplane.kernel.table_info import table_info
from dataplane.kernel.table_reading import TableReading
from rules.ir import TableName
from rules.model import ServiceType
from tests.address_plan import AddressPlan
from tests.builders import NODE_PORT, local, remote, service_port, state
from tests.kernel.node import KernelNode

_STRANGERS_RULES = (
    ("nat", "-N", "THEIRS"),
    ("nat", "-N", "EMPTY"),
    ("nat", "-A", "THEIRS", "-m", "recent", "--name", "seen", "--rcheck", "-j", "RETURN"),
    ("nat", "-A", "THEIRS", "-p", "tcp"),
    ("nat", "-I", "POSTROUTING", "-o", "theirs", "-j", "THEIRS"),
    ("filter", "-A", "INPUT", "-p", "udp", "-m", "udp", "--dport", "53", "-j", "DROP"),
    ("filter", "-P", "FORWARD", "DROP"),
)


@pytest.fixture
def busy_node(lone_node: KernelNode, plan: AddressPlan) -> KernelNode:
    """A node with rules of many kinds, ours and others'."""
    lone_node.program(
        plan,
        state(
            plan,
            local(plan.local_pod),
            remote(plan.remote_pod),
            type=ServiceType.LOAD_BALANCER,
            ports=(service_port(node_port=NODE_PORT),),
            ingress_ips=(plan.ingress_ip,),
            affinity_seconds=600,
        ),
    )
    for table, *command in _STRANGERS_RULES:
        lone_node.iptables(plan, "-t", table, *command)
    return lone_node


@pytest.mark.parametrize("table", TableName)
def test_a_reading_says_what_libiptc_says(
    busy_node: KernelNode, plan: AddressPlan, table: TableName
) -> None:
    """Chains, their entries to the byte, and where these lead are the same."""
    with busy_node.host.entered(), open_table(plan.family, table) as handle:
        reading = TableReading(plan.family, table, table_info(plan.family, table))
        chains = sorted(handle.chains())
        expected = {chain: handle.entries(chain) for chain in chains}

    assert sorted(reading.chains()) == chains
    assert all(reading.has_chain(chain) for chain in chains)
    assert {chain: reading.entries(chain) for chain in chains} == expected
    assert not reading.has_chain("MISSING")
    assert reading.entries("MISSING") == []


@pytest.mark.parametrize("table", TableName)
def test_a_quick_look_recognises_what_a_chain_holds(
    busy_node: KernelNode, plan: AddressPlan, table: TableName
) -> None:
    """All chains are recognised by their entries, but for one with forms of the kernel's own."""
    with busy_node.host.entered():
        reading = TableReading(plan.family, table, table_info(plan.family, table))
    chains = {chain: reading.entries(chain) for chain in reading.chains()}

    missed = {chain for chain, entries in chains.items() if not reading.holds(chain, entries)}

    assert missed == ({"THEIRS"} if table is TableName.NAT else set())
    assert not reading.holds("MISSING", [])


@pytest.mark.parametrize("table", TableName)
def test_a_quick_look_takes_nothing_else_for_what_a_chain_holds(
    busy_node: KernelNode, plan: AddressPlan, table: TableName
) -> None:
    """One entry less, one bit more or another order, and a chain is not recognised any more."""
    with busy_node.host.entered():
        reading = TableReading(plan.family, table, table_info(plan.family, table))
    unchecked = _unchecked_bytes(plan)
    for chain in reading.chains():
        entries = reading.entries(chain)
        assert not reading.holds(chain, [*entries, *entries[:1]]) or not entries
        assert not reading.holds(chain, entries[::-1]) or entries[::-1] == entries
        for number, entry in enumerate(entries):
            before, after = entries[:number], entries[number + 1 :]
            assert not reading.holds(chain, [*before, *after])
            for position in set(range(len(entry))) - unchecked:
                changed = bytearray(entry)
                changed[position] ^= 1
                assert not reading.holds(chain, [*before, bytes(changed), *after])


def _unchecked_bytes(plan: AddressPlan) -> set[int]:
    """What follows the sizes in an entry's header: the kernel's own field, and counters."""
    layout = ENTRY_LAYOUTS[plan.family]
    return set(range(layout.comefrom_offset, layout.header_size))


def test_a_reading_does_not_mix_two_moments(busy_node: KernelNode, plan: AddressPlan) -> None:
    """A table that was changed after its size was asked for is refused, even if that stayed."""
    with busy_node.host.entered():
        before = table_info(plan.family, TableName.FILTER)
    busy_node.iptables(plan, "-D", "INPUT", "-p", "udp", "-m", "udp", "--dport", "53", "-j", "DROP")
    with busy_node.host.entered(), pytest.raises(ConflictError, match="changed while it was read"):
        TableReading(plan.family, TableName.FILTER, before)
    busy_node.iptables(
        plan, "-A", "FORWARD", "-p", "udp", "-m", "udp", "--dport", "53", "-j", "DROP"
    )
    with busy_node.host.entered():
        after = table_info(plan.family, TableName.FILTER)
        reading = TableReading(plan.family, TableName.FILTER, before)

    assert (after.entries, after.size) == (before.entries, before.size)
    with pytest.raises(ConflictError, match="changed while it was read"):
        reading.chains()
