# SPDX-License-Identifier: Apache-2.0
"""Built rules in the words of iptables-save, which is how the tests say what they expect."""

from __future__ import annotations

from dataclasses import dataclass

from rules import names
from rules.build import build
from rules.check import check_tables
from rules.context import FamilyContext
from rules.ir import Family, TableName, Tables
from rules.model import ServiceState
from rules.text import chains_in_order, save_rule
from tests.address_plan import AddressPlan
from tests.builders import context

WEB_HASH = "LOLE4ISW44XBNF3G"
"""Of the tcp port without a name of default/web."""
SVC, SVL, EXT, FW = (f"KUBE-{kind}-{WEB_HASH}" for kind in ("SVC", "SVL", "EXT", "FW"))
ONE_HALF = "-m statistic --mode random --probability 0.50000000000"


@dataclass(frozen=True, slots=True)
class Printed:
    """The tables of one family, to be asked for chains."""

    tables: Tables
    family: Family

    def nat(self, chain: str) -> list[str]:
        """Rules of a chain of nat, each without its ``-A CHAIN``."""
        return self._rules(TableName.NAT, chain)

    def filter(self, chain: str) -> list[str]:
        """Rules of a chain of the filter table, each without its ``-A CHAIN``."""
        return self._rules(TableName.FILTER, chain)

    def service_chains(self) -> set[str]:
        """All chains that belong to service ports and endpoints."""
        chains = self.tables[TableName.NAT].chains
        return {chain for chain in chains if names.is_service_chain(chain)}

    def _rules(self, table: TableName, chain: str) -> list[str]:
        found = dict(chains_in_order(self.tables[table]))
        head = f"-A {chain} "
        return [save_rule(chain, rule, self.family).removeprefix(head) for rule in found[chain]]


def printed(
    plan: AddressPlan, *states: ServiceState, in_context: FamilyContext | None = None
) -> Printed:
    """The rules for ``states``, which keep all invariants, on this node."""
    on_node = in_context or context(plan)
    tables = build({state.service.key: state for state in states}, on_node)
    check_tables(tables)
    return Printed(tables, plan.family)


def sep(plan: AddressPlan, address: str, port: int = 80) -> str:
    """The endpoint chain of a pod of default/web."""
    return names.endpoint_chain("default/web", "tcp", plan.endpoint(address, port))


def comment(text: str) -> str:
    """The comment match with a text that needs quotes."""
    return f'-m comment --comment "{text}"'
