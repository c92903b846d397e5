# SPDX-License-Identifier: Apache-2.0
"""Ways to put a fault into the agent: into the rules that it has built, or into one function.

Rules are changed when they are complete, so that no check of the agent's own sees the fault.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from rules.compose import TableComposer
from rules.ir import Hook, Match, Rule, Rules, Table, TableName, Tables
from rules.service import ServicesRules
from tests.e2e.mutants.mutant import Fault, Put


def in_place_of(owner: object, name: str, other: object) -> Fault:
    """``other`` is called in place of a function of a module or class."""

    def inject(put: Put) -> None:
        getattr(owner, name)  # A fault in what no longer exists would be none.
        put(owner, name, other)

    return inject


def in_result_of(owner: object, name: str, change: Callable[[Any], object]) -> Fault:
    """What a function returns is changed."""

    def inject(put: Put) -> None:
        original = getattr(owner, name)
        put(owner, name, lambda *args, **fields: change(original(*args, **fields)))

    return inject


def in_several_places(*faults: Fault) -> Fault:
    """All of these faults at once: the agent makes up for each of them alone."""

    def inject(put: Put) -> None:
        for fault in faults:
            fault(put)

    return inject


def in_table(table: TableName, change: Callable[[Table], Table]) -> Fault:
    """A table of each family is changed once it is composed."""

    def inject(put: Put) -> None:
        compose = TableComposer.compose

        def faulty(composer: TableComposer, services: ServicesRules) -> Tables:
            tables = compose(composer, services)
            return {**tables, table: change(tables[table])}

        put(TableComposer, "compose", faulty)

    return inject


def in_chains(table: TableName, prefix: str, change: Callable[[Rules], Rules]) -> Fault:
    """The rules of each chain are changed whose name begins with ``prefix``."""

    def changed(whole: Table) -> Table:
        chains = {
            name: change(rules) if name.startswith(prefix) else rules
            for name, rules in whole.chains.items()
        }
        return replace(whole, chains=chains)

    return in_table(table, changed)


def in_rules(table: TableName, prefix: str, change: Callable[[Rule], Rule]) -> Fault:
    """Each rule is changed that stands in such a chain."""
    return in_chains(table, prefix, lambda rules: tuple(map(change, rules)))


def without_rules(table: TableName, prefix: str, is_missing: Callable[[Rule], bool]) -> Fault:
    """Some rules of such chains are missing."""
    return in_chains(
        table, prefix, lambda rules: tuple(rule for rule in rules if not is_missing(rule))
    )


def without_hooks(table: TableName, is_missing: Callable[[Hook], bool]) -> Fault:
    """Some hooks are missing."""
    return in_table(
        table,
        lambda whole: replace(
            whole, hooks=tuple(hook for hook in whole.hooks if not is_missing(hook))
        ),
    )


def leads_to(target: str) -> Callable[[Rule], bool]:
    """Whether a rule jumps to a chain, or has a verdict."""
    return lambda rule: rule.target == target


def with_matches(change: Callable[[Match], Match | None]) -> Callable[[Rule], Rule]:
    """What makes a rule's matches others, or removes those for which there is None."""

    def changed(rule: Rule) -> Rule:
        matches = tuple(one for match in rule.matches if (one := change(match)) is not None)
        return rule._replace(matches=matches)

    return changed
