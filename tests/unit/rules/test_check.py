# SPDX-License-Identifier: Apache-2.0
"""Each invariant, broken on purpose, is found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from rules.build import build
from rules.check import BrokenRulesError, check_service, check_tables
from rules.ir import (
    DROP,
    AddToSet,
    ClientSet,
    Hook,
    Rule,
    Rules,
    SetMatch,
    TableName,
    Tables,
)
from rules.service import ServiceRules, build_service
from tests.address_plan import IPV4
from tests.builders import WEB, context, local, state
from tests.printed import SVC, sep

_STATE = state(IPV4, local(IPV4.local_pod))
_NAT, _FILTER = TableName.NAT, TableName.FILTER


def _tables() -> Tables:
    return build({WEB: _STATE}, context(IPV4))


def _with_chains(name: TableName, chains: Mapping[str, Rules]) -> Tables:
    """Sound tables, but for ``chains`` put over those of one table."""
    sound = _tables()
    return {**sound, name: replace(sound[name], chains={**sound[name].chains, **chains})}


def _without_chain(name: TableName, chain: str) -> Tables:
    sound = _tables()
    rest = {other: rules for other, rules in sound[name].chains.items() if other != chain}
    return {**sound, name: replace(sound[name], chains=rest)}


def _with_hook(hook: Hook) -> Tables:
    sound = _tables()
    return {**sound, _NAT: replace(sound[_NAT], hooks=(*sound[_NAT].hooks, hook))}


def test_sound_tables_pass() -> None:
    """What the negative tests below start from is free of faults."""
    check_tables(_tables())


_SERVICES = _tables()[_NAT].chains["KUBE-SERVICES"]


@pytest.mark.parametrize(
    ("tables", "problem"),
    [
        pytest.param(
            _with_chains(_NAT, {"KUBE-MARK-MASQ": (Rule("KUBE-LOST"),)}),
            "nat: a rule jumps to KUBE-LOST, which does not exist",
            id="jump to nowhere",
        ),
        pytest.param(
            _without_chain(_NAT, SVC),
            f"nat: a rule jumps to {SVC}, which does not exist",
            id="chain left out",
        ),
        pytest.param(
            _with_chains(_NAT, {"KUBE-ORPHAN": (Rule(DROP),)}),
            "nat: nothing jumps to chain KUBE-ORPHAN",
            id="orphan",
        ),
        pytest.param(
            _with_chains(
                _NAT,
                {"KUBE-MARK-MASQ": (Rule("K" * 29),), "K" * 29: ()},
            ),
            f"nat: chain name {'K' * 29} is longer than 28 characters",
            id="long name",
        ),
        pytest.param(
            _with_chains(_NAT, {"KUBE-MARK-MASQ": (Rule("KUBE-SERVICES"),)}),
            "leads back to itself",
            id="loop",
        ),
        pytest.param(
            _with_chains(_FILTER, {"KUBE-FORWARD": (Rule("KUBE-FORWARD"),)}),
            "filter: chain KUBE-FORWARD leads back to itself",
            id="chain that jumps to itself",
        ),
        pytest.param(
            _with_chains(_NAT, {"KUBE-SERVICES": tuple(reversed(_SERVICES))}),
            "nat: the jump to KUBE-NODEPORTS is not the last rule of KUBE-SERVICES",
            id="node ports not last",
        ),
        pytest.param(
            _with_chains(_NAT, {"KUBE-MARK-MASQ": (Rule(DROP, (SetMatch("SET-1"),)),)}),
            "nat: a rule names the set SET-1, which is not to be made",
            id="match with no set",
        ),
        pytest.param(
            _with_chains(_NAT, {"KUBE-MARK-MASQ": (Rule(AddToSet("SET-1", 60)),)}),
            "nat: a rule names the set SET-1, which is not to be made",
            id="target with no set",
        ),
        pytest.param(
            {_NAT: replace(_tables()[_NAT], client_sets=(ClientSet("SET-1", 60),))},
            "nat: no rule names the set SET-1",
            id="set without a rule",
        ),
        pytest.param(
            _with_hook(Hook("KUBE-MARK-MASQ", Rule(DROP))),
            "nat: a hook stands in KUBE-MARK-MASQ, which is neither built in nor shared",
            id="hook in a chain of our own",
        ),
        pytest.param(
            _with_hook(Hook("OUTPUT", Rule("KUBE-LOST"))),
            "nat: a rule jumps to KUBE-LOST, which does not exist",
            id="hook to nowhere",
        ),
    ],
)
def test_a_broken_table_is_found_and_named(tables: Tables, problem: str) -> None:
    """The error says which table, which chain and what is wrong."""
    with pytest.raises(BrokenRulesError) as caught:
        check_tables(tables)
    assert problem in str(caught.value)


def test_all_problems_are_told_at_once() -> None:
    """Two orphans are two problems of one error."""
    with pytest.raises(BrokenRulesError) as caught:
        check_tables(_with_chains(_NAT, {"KUBE-A": (), "KUBE-B": ()}))
    assert len(caught.value.problems) == 2


def _service_rules() -> ServiceRules:
    return build_service(_STATE, context(IPV4))


def test_sound_rules_of_a_service_pass() -> None:
    """Jumps to the fixed mark chains need no chain of the Service."""
    check_service(WEB, _service_rules())


def _with_chain(name: str, *rules: Rule) -> ServiceRules:
    sound = _service_rules()
    return replace(sound, chains={**sound.chains, name: rules})


@pytest.mark.parametrize(
    ("broken", "problem"),
    [
        pytest.param(
            replace(_service_rules(), nat_services=()),
            f"nothing jumps to chain {SVC}",
            id="orphan",
        ),
        pytest.param(
            _with_chain(SVC, Rule("KUBE-LOST")),
            "a rule jumps to KUBE-LOST, which does not exist",
            id="jump to nowhere",
        ),
        pytest.param(
            _with_chain(sep(IPV4, IPV4.local_pod), Rule("KUBE-SERVICES")),
            "a rule jumps to KUBE-SERVICES, which does not exist",
            id="jump out of the Service",
        ),
    ],
)
def test_broken_rules_of_a_service_name_the_service(broken: ServiceRules, problem: str) -> None:
    """The error says whose rules were not applied."""
    with pytest.raises(BrokenRulesError) as caught:
        check_service(WEB, broken)
    assert "service default/web" in str(caught.value)
    assert problem in caught.value.problems
