# SPDX-License-Identifier: Apache-2.0
"""Services with very many endpoints: groups of them, chosen so that each endpoint has its odds."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules import names
from rules.endpoint_groups import choice_chains
from rules.ir import Dnat, Rule, Rules, Statistic
from rules.patterns import DirectChoice, DirectChoiceRules, ServicePortPattern

_SVC = names.CLUSTER_POLICY_PREFIX + names.service_hash("default/web", "tcp")
_SVL = names.LOCAL_POLICY_PREFIX + names.service_hash("default/web", "tcp")
_SHARED = ServicePortPattern("default/web", "tcp", None, is_compact=True)
_LEADING = (Rule(names.MARK_MASQ, source="10.244.0.0/16", not_source=True),)
_FEW_CHAINS = 3
_LITTLE = Fraction(1, 10**6)


def _endpoints(count: int) -> tuple[DirectChoice, ...]:
    """Some of them with a chain of their own, as pods of this node have."""
    return tuple(
        ("" if number % 10 else f"KUBE-SEP-{number}", f"10.{number >> 8}.{number & 255}.7", 80)
        for number in range(count)
    )


def _chains(endpoints: tuple[DirectChoice, ...], policy_chain: str = _SVC) -> Mapping[str, Rules]:
    made = list(choice_chains(policy_chain, _SHARED, _LEADING, endpoints))
    chains = dict(made)
    assert len(chains) == len(made)
    return chains


def _odds(chains: Mapping[str, Rules], chain: str, share: Fraction) -> Mapping[object, Fraction]:
    """What the rules of ``chain`` translate to or leave the tree for, and how often."""
    found: dict[object, Fraction] = {}
    for rule in chains[chain]:
        if rule in _LEADING:
            continue
        chance = Fraction(1)
        for match in rule.matches:
            assert isinstance(match, Statistic)
            chance *= Fraction(match.fraction, 1 << 31)
        if isinstance(rule.target, str) and rule.target in chains:
            found |= _odds(chains, rule.target, share * chance)
        else:
            found[rule.target] = share * chance
        share *= 1 - chance
    assert share == 0
    return found


def _most_rules_met(chains: Mapping[str, Rules], chain: str) -> int:
    """How many rules a connection is compared with until its endpoint is chosen, at most."""
    below = [
        _most_rules_met(chains, rule.target)
        for rule in chains[chain]
        if isinstance(rule.target, str) and rule.target in chains
    ]
    return len(chains[chain]) + max(below, default=0)


@given(st.integers(1, 400) | st.sampled_from([999, 5000]))
def test_every_endpoint_has_the_same_odds(count: int) -> None:
    """Whatever groups it is in, and no choice ends without an endpoint."""
    endpoints = _endpoints(count)
    odds = _odds(_chains(endpoints), _SVC, Fraction(1))

    assert odds.keys() == {chain or Dnat(address, port) for chain, address, port in endpoints}
    assert all(abs(one * count - 1) < _LITTLE for one in odds.values())


@pytest.mark.parametrize("count", [129, 500, 2000, 10_000])
def test_a_connection_meets_tens_of_rules(count: int) -> None:
    """At most a hundred of ten thousand, and half as many on average."""
    chains = _chains(_endpoints(count))

    assert _most_rules_met(chains, _SVC) <= 100
    assert all(len(name) <= names.MAX_LENGTH for name in chains)
    assert all(names.hash_of(name) == names.hash_of(_SVC) for name in chains)
    assert all(names.is_obsolete_unless_wanted(name) for name in chains)


def test_few_endpoints_need_no_groups() -> None:
    """Up to 128 stay in the policy chain."""
    few = _endpoints(128)
    assert _chains(few) == {_SVC: DirectChoiceRules(_SHARED, _LEADING, few)}
    assert len(_chains(_endpoints(129))) > 1


def test_the_groups_of_two_policies_do_not_meet() -> None:
    """A service port may have very many endpoints on this node, too."""
    many = _endpoints(200)
    assert not _chains(many).keys() & _chains(many, _SVL).keys()


@given(st.integers(140, 250), st.integers(0, 139))
def test_one_endpoint_less_changes_few_chains(count: int, gone: int) -> None:
    """Its own group changes, and the odds of groups; all others stay as they are."""
    endpoints = _endpoints(count)
    before, after = _chains(endpoints), _chains((*endpoints[:gone], *endpoints[gone + 1 :]))

    changed = [name for name in before if before[name] != after.get(name)]
    assert set(after) <= set(before)
    assert 0 < len(changed) < _FEW_CHAINS
    assert len(before) > 2 * _FEW_CHAINS
