# SPDX-License-Identifier: Apache-2.0
"""From the rules of each Service to tables."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from itertools import chain
from typing import Final, NamedTuple

from rules import names, static
from rules.chain_groups import GroupedChains
from rules.context import FamilyContext
from rules.dispatch import Change, Dispatch
from rules.ir import Rules, Table, TableName, Tables
from rules.model import ObjectKey
from rules.service import NO_RULES, ServiceRules, ServicesRules

_FIXED = ObjectKey("", "")
"""In place of a Service: the group of chains that belong to none alone."""


class _SharedChain(NamedTuple):
    """A chain that Services add rules to."""

    table: TableName
    name: str
    rules_of: Callable[[ServiceRules], Rules]
    vip_prefix: str = ""
    """For the names of chains that decide between its VIPs in a large cluster."""
    node_port_prefix: str = ""
    """The same for its node ports."""


_SHARED_CHAINS: Final = (
    _SharedChain(
        TableName.NAT,
        names.SERVICES,
        lambda rules: rules.nat_services,
        vip_prefix=names.NAT_DISPATCH_PREFIX,
    ),
    _SharedChain(
        TableName.NAT,
        names.NODE_PORTS,
        lambda rules: rules.nat_node_ports,
        node_port_prefix=names.NODE_PORT_DISPATCH_PREFIX,
    ),
    _SharedChain(
        TableName.FILTER,
        names.SERVICES,
        lambda rules: rules.filter_services,
        vip_prefix=names.INTERNAL_REFUSAL_PREFIX,
    ),
    _SharedChain(
        TableName.FILTER,
        names.EXTERNAL_SERVICES,
        lambda rules: rules.filter_external_services,
        vip_prefix=names.EXTERNAL_REFUSAL_PREFIX,
        node_port_prefix=names.NODE_PORT_REFUSAL_PREFIX,
    ),
    _SharedChain(
        TableName.FILTER,
        names.NODE_PORTS,
        lambda rules: rules.filter_node_ports,
        node_port_prefix=names.HEALTH_CHECK_PREFIX,
    ),
)


class TableComposer:
    """Composes the tables of one family, and remembers what costs most until its input changes.

    The memory is not visible in the results: they equal those of a new composer, always.
    """

    def __init__(self, context: FamilyContext) -> None:
        self._context = context
        self._dispatched: ServicesRules = {}
        self._dispatches = [
            Dispatch(
                shared.name,
                context.family,
                vip_prefix=shared.vip_prefix,
                node_port_prefix=shared.node_port_prefix,
            )
            for shared in _SHARED_CHAINS
        ]

    @property
    def context(self) -> FamilyContext:
        """What the tables are composed for."""
        return self._context

    def compose(self, services: ServicesRules) -> Tables:
        """Fixed chains, and those of ``services``, which are sorted by name."""
        shared = self._as_trees(services) if self._context.is_large else _as_lists(services)
        return {
            TableName.FILTER: self._filter_table(shared[TableName.FILTER]),
            TableName.NAT: self._nat_table(shared[TableName.NAT], services),
        }

    def _nat_table(self, shared: Mapping[str, Rules], services: ServicesRules) -> Table:
        fixed: dict[str, Rules] = {**static.nat_chains(self._context), **shared}
        fixed[names.SERVICES] = (*fixed[names.SERVICES], *static.node_port_jumps(self._context))
        groups: dict[Hashable, Mapping[str, Rules]] = {
            key: rules.chains for key, rules in services.items()
        }
        groups[_FIXED] = fixed
        sets = chain.from_iterable(rules.client_sets for rules in services.values())
        return Table(
            TableName.NAT, GroupedChains(groups), static.NAT_HOOKS, client_sets=tuple(sets)
        )

    def _filter_table(self, shared: Mapping[str, Rules]) -> Table:
        context = self._context
        return Table(
            TableName.FILTER,
            {**static.filter_chains(context), **shared},
            static.filter_hooks(context),
            static.filter_shared_chains(context),
        )

    def _as_trees(self, services: ServicesRules) -> Mapping[TableName, Mapping[str, Rules]]:
        """The chains that Services share, and those that these become in a large cluster."""
        before, self._dispatched = self._dispatched, services
        changes = [
            (key, known, rules)
            for key, rules in services.items()
            if (known := before.get(key, NO_RULES)) is not rules
        ]
        changes += [(key, before[key], NO_RULES) for key in before.keys() - services.keys()]
        trees: dict[TableName, dict[str, Rules]] = {table: {} for table in TableName}
        for shared, dispatch in zip(_SHARED_CHAINS, self._dispatches, strict=True):
            dispatch.follow(
                Change(key, shared.rules_of(known), shared.rules_of(rules))
                for key, known, rules in changes
            )
            trees[shared.table].update(dispatch.chains)
        return trees


def compose(services: ServicesRules, context: FamilyContext) -> Tables:
    """The tables of one family, by a new composer."""
    return TableComposer(context).compose(services)


def _as_lists(services: ServicesRules) -> Mapping[TableName, Mapping[str, Rules]]:
    """The chains that Services share, with the rules of one after the other."""
    lists: dict[TableName, dict[str, Rules]] = {table: {} for table in TableName}
    for shared in _SHARED_CHAINS:
        parts = map(shared.rules_of, services.values())
        lists[shared.table][shared.name] = tuple(chain.from_iterable(parts))
    return lists
