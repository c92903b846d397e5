# SPDX-License-Identifier: Apache-2.0
"""Trees of chains by destination: any packet meets the rules that it would meet in one chain."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from ipaddress import ip_address, ip_network
from typing import NamedTuple

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rules import names
from rules.addresses import host_network
from rules.dispatch import Change, Dispatch
from rules.ir import Family, PortMatch, Rule, Rules
from rules.model import ObjectKey

_TOP = names.SERVICES
_PREFIXES = (names.EXTERNAL_REFUSAL_PREFIX, names.NODE_PORT_REFUSAL_PREFIX)
_MOST_RULES_MET = {Family.IPV4: 16 * (8 + 5 + 4), Family.IPV6: 16 * (32 + 5 + 4)}
_FEW_CHAINS = 3

_Owned = Mapping[ObjectKey, Rules]
_ports = st.integers(79, 82) | st.integers(30000, 30040) | st.integers(1, 65535)
_protocols = st.sampled_from(["tcp", "tcp", "udp", "sctp"])
_owners = st.builds(ObjectKey, st.just("default"), st.sampled_from("abcdefghij"))


class _Target(NamedTuple):
    """What a packet is for."""

    address: str
    protocol: str
    port: int


def _vips(family: Family) -> st.SearchStrategy[str]:
    """Addresses of few networks, close to each other and far apart."""
    networks = {
        Family.IPV4: ["10.96.0.0/26", "10.96.0.0/16", "198.51.100.0/24", "0.0.0.0/0"],
        Family.IPV6: ["fd00:10:96::/122", "fd00:10:96::/112", "2001:db8::/64", "::/0"],
    }
    return (
        st.sampled_from(networks[family])
        .flatmap(lambda network: st.ip_addresses(network=network))
        .map(str)
    )


def _rule(vip: str, protocol: str, port: int, owner: ObjectKey) -> Rule:
    match = PortMatch(protocol, port)
    return Rule(f"KUBE-SVC-{owner.name}", (match,), protocol, destination=vip and host_network(vip))


@st.composite
def _services(draw: st.DrawFn, family: Family, most: int = 120) -> _Owned:
    """Rules for VIPs, one of which has many ports, and for node ports, by their owner."""
    shared_vip = draw(_vips(family))
    vips = st.one_of(_vips(family), _vips(family), st.just(shared_vip), st.just(""))
    places = draw(st.lists(st.tuples(vips, _protocols, _ports), unique=True, max_size=most))
    owned: dict[ObjectKey, Rules] = {}
    for vip, protocol, port in places:
        owner = draw(_owners)
        owned[owner] = (*owned.get(owner, ()), _rule(vip, protocol, port, owner))
    return {owner: owned[owner] for owner in sorted(owned)}


def _dispatch(family: Family) -> Dispatch:
    vips, node_ports = _PREFIXES
    return Dispatch(_TOP, family, vip_prefix=vips, node_port_prefix=node_ports)


def _chains(owned: _Owned, family: Family) -> Mapping[str, Rules]:
    made = _dispatch(family)
    made.follow(Change(owner, (), rules) for owner, rules in owned.items())
    return made.chains


def _is_for(rule: Rule, target: _Target) -> bool:
    is_there = not rule.destination or ip_address(target.address) in ip_network(rule.destination)
    ports = [match for match in rule.matches if isinstance(match, PortMatch)]
    return (
        is_there
        and rule.protocol in ("", target.protocol)
        and all(match.includes(target.port) for match in ports)
    )


def _met(chains: Mapping[str, Rules], chain: str, to: _Target, seen: list[Rule]) -> Iterator[Rule]:
    """The rules that decide on a packet; ``seen`` gets all that it is compared with."""
    for rule in chains[chain]:
        seen.append(rule)
        if not _is_for(rule, to):
            continue
        if isinstance(rule.target, str) and rule.target.startswith(_PREFIXES):
            yield from _met(chains, rule.target, to, seen)
        else:
            yield rule


@given(st.sampled_from(Family), st.data())
def test_a_packet_meets_the_rules_of_its_destination(family: Family, data: st.DataObject) -> None:
    """Whether it goes to a VIP, to a node port or past all, in their order, and few others."""
    owned = data.draw(_services(family))
    chains = _chains(owned, family)
    rules = [rule for rules in owned.values() for rule in rules]
    vips = [rule.destination.partition("/")[0] for rule in rules if rule.destination]
    address = st.sampled_from(vips) | _vips(family) if vips else _vips(family)
    targets = data.draw(st.lists(st.builds(_Target, address, _protocols, _ports), max_size=9))
    (some_vip,) = vips[:1] or ["192.0.2.1" if family is Family.IPV4 else "2001:db8:9::1"]
    for rule in rules[:9]:
        (match,) = rule.matches
        assert isinstance(match, PortMatch)
        assert match.destination
        vip = rule.destination.partition("/")[0] or some_vip
        targets.append(_Target(vip, rule.protocol, match.destination))

    for target in targets:
        seen: list[Rule] = []
        expected = [rule for rule in rules if _is_for(rule, target)]
        expected.sort(key=lambda rule: not rule.destination)
        assert list(_met(chains, _TOP, target, seen)) == expected
        assert len(seen) <= _MOST_RULES_MET[family] + len(expected)


@pytest.mark.parametrize("vip", ["198.51.100.1", ""], ids=["of a VIP", "of the node"])
def test_many_ports_are_told_apart_by_ranges(vip: str) -> None:
    """Thirty thousand node ports are no long list, nor are those of a VIP that Services share."""
    owner = ObjectKey("default", "a")
    ports = range(30_000, 60_000)
    rules = {port: _rule(vip, "tcp", port, owner) for port in ports}
    chains = _chains({owner: tuple(rules.values())}, Family.IPV4)
    around_bounds = [bound + step for bound in (32768, 36864, 40960, 45056) for step in (-1, 0)]

    for port in (*around_bounds, ports[0], ports[-1], ports[0] - 1, ports[-1] + 1):
        seen: list[Rule] = []
        expected = [rules[port]] if port in ports else []
        assert list(_met(chains, _TOP, _Target("198.51.100.1", "tcp", port), seen)) == expected
        assert len(seen) <= 4 * 16


@given(st.sampled_from(Family), st.data())
def test_every_chain_of_the_tree_is_reached_once(family: Family, data: st.DataObject) -> None:
    """All rules stand somewhere, in chains with usable names that one rule each leads to."""
    owned = data.draw(_services(family))
    chains = _chains(owned, family)
    standing = [rule for one in chains.values() for rule in one]
    jumps = [rule.target for rule in standing if str(rule.target).startswith(_PREFIXES)]

    assert sorted(jumps, key=str) == sorted(chains.keys() - {_TOP})
    assert all(len(name) <= names.MAX_LENGTH for name in chains)
    others = [rule for rule in standing if rule.target not in jumps]
    assert sorted(map(str, others)) == sorted(str(rule) for one in owned.values() for rule in one)
    assert all(names.is_obsolete_unless_wanted(name) for name in chains if name != _TOP)


@given(st.sampled_from(Family), st.data())
def test_one_more_rule_changes_few_chains(family: Family, data: st.DataObject) -> None:
    """The chain where it stands changes, and the way to it, not the rest of the trees."""
    owned = data.draw(_services(family))
    (owner, added) = data.draw(st.tuples(_owners, _services(family, most=1)))
    (rules,) = added.values() or [()]
    after = _chains({**owned, owner: (*owned.get(owner, ()), *rules)}, family)
    before = _chains(owned, family)

    changed = [name for name in before if name in after and before[name] != after[name]]
    gone = before.keys() - after.keys()
    assert len(changed) + len(gone) <= _FEW_CHAINS


@given(st.sampled_from(Family), st.data())
@example(Family.IPV4, None)
def test_following_changes_equals_starting_anew(family: Family, data: st.DataObject | None) -> None:
    """After any history the chains are those of a new tree; without a change, the same object."""
    followed = _dispatch(family)
    owned: _Owned = {}
    histories = st.lists(_services(family, most=60), max_size=5)
    for wanted in data.draw(histories) if data else [_growing(300), _growing(290), _growing(5)]:
        before = followed.chains
        owners = sorted({*owned, *wanted})
        followed.follow(Change(one, owned.get(one, ()), wanted.get(one, ())) for one in owners)
        owned = wanted
        expected = _chains(owned, family)
        assert followed.chains == expected
        if before == expected:
            assert followed.chains is before


def _growing(many: int) -> _Owned:
    """One Service each for so many VIPs."""
    keys = [ObjectKey("default", f"web-{number:03}") for number in range(many)]
    return {
        key: (_rule(f"10.96.{number % 7}.{number % 250}", "tcp", 80, key),)
        for number, key in enumerate(keys)
    }


def test_a_change_leaves_other_chains_alone() -> None:
    """The chains that decide on other places stay the very objects that they were."""
    before, after = _growing(300), _growing(301)
    followed = _dispatch(Family.IPV4)
    followed.follow(Change(owner, (), rules) for owner, rules in before.items())
    chains = followed.chains
    (new,) = after.keys() - before.keys()
    followed.follow([Change(new, (), after[new])])

    others = [name for name in followed.chains if followed.chains[name] is not chains.get(name)]
    assert 0 < len(others) <= 1 + _FEW_CHAINS
    assert len(followed.chains) > 10 * len(others)


@given(st.sampled_from(Family), st.data())
def test_few_rules_need_no_tree(family: Family, data: st.DataObject) -> None:
    """Up to sixteen rules of each kind stay in one chain."""
    owned = data.draw(_services(family, most=16))
    assert _chains(owned, family).keys() == {_TOP}
