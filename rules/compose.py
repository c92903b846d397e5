# SPDX-License-Identifier: Apache-2.0
"""From the rules of each Service to tables."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from itertools import chain

from rules import names, static
from rules.chain_groups import GroupedChains
from rules.context import FamilyContext
from rules.dispatch import dispatch
from rules.ir import Rule, Rules, Table, TableName, Tables
from rules.model import ObjectKey
from rules.service import ServicesRules

_FIXED = ObjectKey("", "")
"""In place of a Service: the group of chains that belong to none alone."""


class TableComposer:
    """Composes the tables of one family, and remembers what costs most until its input changes.

    The memory is not visible in the results: they equal those of a new composer, always.
    """

    def __init__(self, context: FamilyContext) -> None:
        self._context = context
        self._dispatched: dict[str, tuple[Rules, Mapping[str, Rules]]] = {}

    @property
    def context(self) -> FamilyContext:
        """What the tables are composed for."""
        return self._context

    def compose(self, services: ServicesRules) -> Tables:
        """Fixed chains, and those of ``services`` in the given order."""
        return {
            TableName.FILTER: self._filter_table(services),
            TableName.NAT: self._nat_table(services),
        }

    def _nat_table(self, services: ServicesRules) -> Table:
        context = self._context
        fixed: dict[str, Rules] = {
            **static.nat_chains(context),
            **self._to_vips(
                names.SERVICES,
                (rules.nat_services for rules in services.values()),
                names.NAT_DISPATCH_PREFIX,
            ),
            names.NODE_PORTS: _joined(rules.nat_node_ports for rules in services.values()),
        }
        fixed[names.SERVICES] = (*fixed[names.SERVICES], *static.node_port_jumps(context))
        groups: dict[Hashable, Mapping[str, Rules]] = {
            key: rules.chains for key, rules in services.items()
        }
        groups[_FIXED] = fixed
        sets = chain.from_iterable(rules.client_sets for rules in services.values())
        return Table(
            TableName.NAT, GroupedChains(groups), static.NAT_HOOKS, client_sets=tuple(sets)
        )

    def _filter_table(self, services: ServicesRules) -> Table:
        context = self._context
        chains: dict[str, Rules] = {
            **static.filter_chains(context),
            **self._to_vips(
                names.SERVICES,
                (rules.filter_services for rules in services.values()),
                names.INTERNAL_REFUSAL_PREFIX,
            ),
            **self._to_vips(
                names.EXTERNAL_SERVICES,
                (rules.filter_external_services for rules in services.values()),
                names.EXTERNAL_REFUSAL_PREFIX,
            ),
            names.NODE_PORTS: _joined(rules.filter_node_ports for rules in services.values()),
        }
        return Table(
            TableName.FILTER,
            chains,
            static.filter_hooks(context),
            static.filter_shared_chains(context),
        )

    def _to_vips(self, name: str, parts: Iterable[Rules], kind: str) -> Mapping[str, Rules]:
        """What stands in the chain ``name``, in a large cluster as a tree."""
        rules = _joined(parts)
        if not self._context.is_large:
            return {name: rules}
        known = self._dispatched.get(kind)
        if known is None or known[0] != rules:
            known = self._dispatched[kind] = (rules, dispatch(name, rules, kind))
        return known[1]


def compose(services: ServicesRules, context: FamilyContext) -> Tables:
    """The tables of one family, by a new composer."""
    return TableComposer(context).compose(services)


def _joined(parts: Iterable[Rules]) -> tuple[Rule, ...]:
    return tuple(chain.from_iterable(parts))
