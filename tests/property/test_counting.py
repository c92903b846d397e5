# SPDX-License-Identifier: Apache-2.0
"""Laws of what rules count for, which hold for every cluster and all options."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from rules.build import build
from rules.context import FamilyContext
from rules.ir import Dnat, TableName
from rules.model import ServiceState
from rules.traffic.accounts import Account, Accounts, service_ports
from rules.traffic.tally import increments, tally, totals
from tests.counting import counted_rules
from tests.property.strategies import Cluster, clusters, contexts


def _accounts(state: ServiceState, on_node: FamilyContext) -> set[Account]:
    """All accounts that the rules of a Service count for."""
    tables = build({state.service.key: state}, on_node)
    accounts = Accounts(service_ports([state], on_node))
    return set(totals(tally(counted_rules(tables, lambda _: 1), accounts)))


@given(clusters(), contexts())
def test_each_translation_counts_for_its_endpoint(cluster: Cluster, on_node: FamilyContext) -> None:
    """No rule that translates is overlooked, and each has a counter of its own."""
    for key, state in cluster.states().items():
        tables = build({key: state}, on_node)
        accounts = Accounts(service_ports([state], on_node))
        translations = [
            (chain, rule)
            for chain, rules in tables[TableName.NAT].chains.items()
            for rule in rules
            if isinstance(rule.target, Dnat)
        ]
        counters = [accounts.counter(TableName.NAT, *one, "") for one in translations]

        assert None not in counters
        assert len({counter.slot for counter in counters if counter}) == len(translations)


@given(clusters(), contexts())
def test_both_layouts_count_the_same(cluster: Cluster, on_node: FamilyContext) -> None:
    """The rules of a large cluster count for whom those of a small one do, and for what."""
    for state in cluster.states().values():
        classic = _accounts(state, replace(on_node, is_large=False))

        assert _accounts(state, replace(on_node, is_large=True)) == classic


@given(clusters(), contexts(), st.data())
def test_nothing_is_counted_twice(
    cluster: Cluster, on_node: FamilyContext, data: st.DataObject
) -> None:
    """Whatever rules count between two readings, that much is added, no more and no less."""
    states = cluster.states()
    tables = build(states, on_node)
    accounts = Accounts(service_ports(states.values(), on_node))
    first = list(counted_rules(tables, lambda _: data.draw(st.integers(0, 9))))
    second = [rule._replace(packets=rule.packets + data.draw(st.integers(0, 9))) for rule in first]

    before, after = tally(first, accounts), tally(second, accounts)

    assert sum(increments(before, after).values()) == sum(
        later.packets - earlier.packets
        for earlier, later in zip(first, second, strict=True)
        if accounts.counter(earlier.table, earlier.chain, earlier.rule, earlier.header)
    )
