# SPDX-License-Identifier: Apache-2.0
"""The structural invariants of a rule set.

:func:`check_service` costs little and runs whenever a Service is rebuilt; :func:`check_tables`
looks at everything. The kernel finds some of these faults too, but says only that some rule of the
table is wrong.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from graphlib import CycleError, TopologicalSorter

from rules import names
from rules.ir import (
    BUILT_IN_CHAINS,
    VERDICTS,
    AddToSet,
    Rule,
    Rules,
    SetMatch,
    Table,
    TableName,
    Tables,
)
from rules.model import ObjectKey
from rules.service import ServiceRules

_FIXED_TARGETS = frozenset({names.MARK_MASQ, names.MARK_DROP})
_MAY_BE_UNUSED = _FIXED_TARGETS | {names.NODE_PORTS}
"""Node ports restricted to addresses that this family has none of: nothing leads to the chain."""


class BrokenRulesError(ValueError):
    """Rules that break an invariant: a defect of this program, not of its input."""

    def __init__(self, where: str, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__(
            f"rules of {where} are broken and were not applied: {'; '.join(self.problems)}; "
            "please report this as a defect"
        )


def check_service(key: ObjectKey, rules: ServiceRules) -> None:
    """Check that a Service's chains are named, used and closed under jumps.

    Raises:
        BrokenRulesError: naming the Service and what is wrong.
    """
    entries = (*rules.nat_services, *rules.nat_node_ports)
    problems = list(_chain_problems(rules.chains, entries, _FIXED_TARGETS))
    if problems:
        raise BrokenRulesError(f"service {key}", problems)


def check_tables(tables: Tables) -> None:
    """Check all invariants of a family's tables.

    Raises:
        BrokenRulesError: naming the tables and all that is wrong.
    """
    problems = [
        f"{table.name.value}: {problem}"
        for table in tables.values()
        for problem in _table_problems(table)
    ]
    if problems:
        raise BrokenRulesError("the tables", problems)


def _table_problems(table: Table) -> Iterator[str]:
    yield from _chain_problems(
        table.chains, tuple(hook.rule for hook in table.hooks), frozenset(table.shared_chains)
    )
    places = {*BUILT_IN_CHAINS[table.name], *table.shared_chains}
    for hook in table.hooks:
        if hook.chain not in places:
            yield f"a hook stands in {hook.chain}, which is neither built in nor shared"
    yield from _loop_problems(table.chains)
    yield from _set_problems(table)
    if table.name is TableName.NAT:
        yield from _node_port_problems(table.chains[names.SERVICES])


def _chain_problems(
    chains: Mapping[str, Rules], entries: tuple[Rule, ...], known_targets: frozenset[str]
) -> Iterator[str]:
    """Names that are too long, jumps to nowhere, chains that nothing jumps to."""
    used = set(_jump_targets(entries))
    for rules in chains.values():
        used.update(_jump_targets(rules))
    for name in chains:
        if len(name) > names.MAX_LENGTH:
            yield f"chain name {name} is longer than {names.MAX_LENGTH} characters"
    for target in sorted(used - chains.keys() - known_targets):
        yield f"a rule jumps to {target}, which does not exist"
    for orphan in sorted(chains.keys() - used - _MAY_BE_UNUSED):
        yield f"nothing jumps to chain {orphan}"


def _jump_targets(rules: Rules) -> Iterable[str]:
    """All chains that a rule jumps to."""
    if isinstance(rules, tuple):
        return {rule.target for rule in rules if type(rule.target) is str} - VERDICTS
    return rules.jump_targets()


def _loop_problems(chains: Mapping[str, Rules]) -> Iterator[str]:
    """Chains from which a packet could come back to where it was."""
    try:
        TopologicalSorter({name: _jump_targets(rules) for name, rules in chains.items()}).prepare()
    except CycleError as error:
        (_, circle) = error.args
        yield f"chain {circle[0]} leads back to itself"


def _set_problems(table: Table) -> Iterator[str]:
    """Sets that rules name are made before them, and no others."""
    named = {
        about.set_name
        for rules in table.chains.values()
        for rule in rules
        for about in (*rule.matches, rule.target)
        if isinstance(about, (SetMatch, AddToSet))
    }
    made = {one.name for one in table.client_sets}
    for name in sorted(named - made):
        yield f"a rule names the set {name}, which is not to be made"
    for name in sorted(made - named):
        yield f"no rule names the set {name}"


def _node_port_problems(rules: Rules) -> Iterator[str]:
    """Jumps for node ports stand last: a VIP may be an address of this node too."""
    is_node_port_jump = [rule.target == names.NODE_PORTS for rule in rules]
    first = is_node_port_jump.index(True) if True in is_node_port_jump else len(rules)
    if not all(is_node_port_jump[first:]):
        yield f"the jump to {names.NODE_PORTS} is not the last rule of {names.SERVICES}"
