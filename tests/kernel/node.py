# SPDX-License-Identifier: Apache-2.0
"""A node of a lab whose kernel is programmed in this process, as the agent would do it."""

from __future__ import annotations

from typing import Final, Unpack

import pytest

from dataplane.cleanup import remove_all_rules
from dataplane.sync import FamilyReport, FamilySync
from lab import Host
from rules.context import ProxyOptions
from rules.ir import Family, TableName
from rules.model import ServiceState
from tests.address_plan import AddressPlan
from tests.builders import OptionFields, context

PROGRAMS: Final = {Family.IPV4: "iptables-legacy", Family.IPV6: "ip6tables-legacy"}
_EMPTY: Final = """\
*nat
COMMIT
*filter
:INPUT ACCEPT [0:0]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
COMMIT
*mangle
COMMIT
*raw
COMMIT
"""


in_both_layouts: Final = pytest.mark.parametrize(
    "node", [False, True], ids=["classic", "large"], indirect=True
)
"""Packets must not be able to tell the rules of a large cluster from those of a small one."""


class KernelNode:
    """Programs a node and looks at what stands in its kernel."""

    def __init__(self, host: Host, *, is_large: bool = False) -> None:
        """Begin with an agent that has not programmed anything yet.

        With ``is_large`` it builds the rules of a large cluster, however small this one is.
        """
        self.host = host
        self.is_large = is_large
        """Whether it builds them now."""
        self._syncs: dict[Family, FamilySync] = {}

    def program(
        self,
        plan: AddressPlan,
        *states: ServiceState,
        verify: bool = False,
        lock_timeout_seconds: float = 5.0,
        node_port_addresses: tuple[str, ...] = (),
        **options: Unpack[OptionFields],
    ) -> FamilyReport:
        """Sync one family, with the memory of earlier calls."""
        on_node = context(
            plan, node_port_addresses=node_port_addresses, is_large=self.is_large, **options
        )
        if plan.family not in self._syncs:
            self._syncs[plan.family] = FamilySync(
                plan.family, lock_timeout_seconds=lock_timeout_seconds
            )
        services = {state.service.key: state for state in states}
        with self.host.entered():
            return self._syncs[plan.family].sync(services, on_node, verify=verify)

    def restart_agent(self) -> None:
        """Forget what was programmed; the kernel keeps it."""
        self._syncs.clear()

    def change_layout(self) -> None:
        """From now on build the rules of a large cluster, or no longer."""
        self.is_large = not self.is_large

    def clean_up(self, plan: AddressPlan, *, lock_timeout_seconds: float = 5.0) -> None:
        """Remove the agent's rules of one family, as ``dataplane cleanup`` does."""
        with self.host.entered():
            remove_all_rules(
                ProxyOptions(), (plan.family,), lock_timeout_seconds=lock_timeout_seconds
            )

    def iptables(self, plan: AddressPlan, *arguments: str) -> str:
        """Run the family's iptables and return what it printed."""
        return self.host.run([PROGRAMS[plan.family], "-w", *arguments]).stdout

    def restore(self, plan: AddressPlan, text: str) -> None:
        """Replace the tables in ``text``, counters included."""
        self._restore(plan.family, text)

    def save(self, plan: AddressPlan, *, counters: bool = False) -> list[str]:
        """All tables as iptables-save prints them, without its remarks."""
        arguments = ["-c"] if counters else []
        printed = self.host.run([f"{PROGRAMS[plan.family]}-save", *arguments]).stdout
        return [line for line in printed.splitlines() if not line.startswith("#")]

    def contents(self, plan: AddressPlan) -> dict[tuple[str, str], list[str]]:
        """All chains by table and name; in which order chains stand means nothing to packets."""
        found: dict[tuple[str, str], list[str]] = {}
        table = ""
        for line in self.save(plan):
            words = line.split()
            if line.startswith("*"):
                table = line[1:]
            elif line.startswith(":"):
                found[table, words[0][1:]] = []
            elif line.startswith("-A"):
                found[table, words[1]].append(line)
        return found

    def chain(self, plan: AddressPlan, table: TableName, chain: str) -> list[str]:
        """The rules of one chain, each without its ``-A CHAIN``."""
        head = f"-A {chain} "
        lines = self.iptables(plan, "-t", table.value, "-S", chain).splitlines()
        return [line.removeprefix(head) for line in lines if line.startswith(head)]

    def packets(self, plan: AddressPlan, table: TableName, chain: str) -> list[int]:
        """How many packets each rule of one chain has met."""
        lines = self.iptables(plan, "-t", table.value, "-nvxL", chain).splitlines()
        return [int(line.split()[0]) for line in lines[2:]]

    def wipe(self) -> None:
        """Empty all tables of both families, set their policies back, and destroy all sets."""
        for family in Family:
            self._restore(family, _EMPTY)
        self.host.run(["ipset", "destroy"])

    def _restore(self, family: Family, text: str) -> None:
        self.host.run([f"{PROGRAMS[family]}-restore", "-w", "-c"], stdin=text)
