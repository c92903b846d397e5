# SPDX-License-Identifier: Apache-2.0
"""The tree of chains by destination: any packet meets the rules that it would meet in one chain."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from ipaddress import ip_address, ip_network

from hypothesis import example, given
from hypothesis import strategies as st

from rules import names
from rules.addresses import host_network
from rules.dispatch import dispatch
from rules.ir import Family, PortMatch, Rule, Rules

_TOP = names.SERVICES
_KIND = names.NAT_DISPATCH_PREFIX
_MOST_RULES_MET = {Family.IPV4: 16 * 8, Family.IPV6: 16 * 32}
_FEW_CHAINS = 3


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


def _rule(vip: str, port: int) -> Rule:
    return Rule(f"KUBE-SVC-{port}", (PortMatch("tcp", port),), "tcp", destination=host_network(vip))


@st.composite
def _rule_sets(draw: st.DrawFn) -> tuple[Family, list[Rule]]:
    family = draw(st.sampled_from(list(Family)))
    places = draw(st.lists(st.tuples(_vips(family), st.integers(1, 9)), unique=True, max_size=120))
    return family, [_rule(vip, port) for vip, port in places]


def _met(chains: Mapping[str, Rules], chain: str, address: str, seen: list[Rule]) -> Iterator[Rule]:
    """The rules that decide on a packet to ``address``; ``seen`` gets all it is compared with."""
    for rule in chains[chain]:
        seen.append(rule)
        if rule.destination and ip_address(address) not in ip_network(rule.destination):
            continue
        if isinstance(rule.target, str) and rule.target.startswith(_KIND):
            yield from _met(chains, rule.target, address, seen)
        else:
            yield rule


@given(_rule_sets(), st.data())
@example((Family.IPV4, [_rule("10.96.0.1", port) for port in range(1, 40)]), None)
def test_a_packet_meets_the_rules_of_its_destination(
    made: tuple[Family, list[Rule]], data: st.DataObject | None
) -> None:
    """Whether it goes to a VIP or past all of them, in their order, and few others besides."""
    family, rules = made
    last = Rule(names.NODE_PORTS)
    chains = dispatch(_TOP, [*rules, last], _KIND)
    vips = [rule.destination.partition("/")[0] for rule in rules]
    addresses = [*vips[:5], *([data.draw(_vips(family))] if data else [])]

    for address in addresses:
        seen: list[Rule] = []
        expected = [rule for rule in rules if rule.destination == host_network(address)]
        assert list(_met(chains, _TOP, address, seen)) == [*expected, last]
        assert len(seen) <= _MOST_RULES_MET[family] + len(expected)


@given(_rule_sets())
def test_every_chain_of_the_tree_is_reached_once(made: tuple[Family, list[Rule]]) -> None:
    """All rules stand somewhere, in chains with usable names that one rule each leads to."""
    _, rules = made
    chains = dispatch(_TOP, rules, _KIND)
    standing = [rule for one in chains.values() for rule in one]
    jumps = [rule.target for rule in standing if str(rule.target).startswith(_KIND)]

    assert sorted(jumps, key=str) == sorted(chains.keys() - {_TOP})
    assert all(len(name) <= names.MAX_LENGTH for name in chains)
    assert sorted(rule for rule in standing if rule.target not in jumps) == sorted(rules)
    assert all(names.is_obsolete_unless_wanted(name) for name in chains if name != _TOP)


@given(_rule_sets(), st.data())
def test_one_more_vip_changes_few_chains(
    made: tuple[Family, list[Rule]], data: st.DataObject
) -> None:
    """The chain where its rule stands changes, and the way to it, not the rest of the tree."""
    family, rules = made
    added = _rule(data.draw(_vips(family)), 10)
    before, after = dispatch(_TOP, rules, _KIND), dispatch(_TOP, [*rules, added], _KIND)

    changed = [name for name in before if name in after and before[name] != after[name]]
    gone = before.keys() - after.keys()
    assert len(changed) + len(gone) <= _FEW_CHAINS


@given(_rule_sets())
def test_few_rules_need_no_tree(made: tuple[Family, list[Rule]]) -> None:
    """Up to sixteen rules stay in one chain as they are, in their order."""
    _, rules = made
    few = rules[:16]
    assert dispatch(_TOP, few, _KIND) == {_TOP: tuple(few)}
