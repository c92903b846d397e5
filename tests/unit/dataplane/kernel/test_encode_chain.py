# SPDX-License-Identifier: Apache-2.0
"""Patterns are encoded as their rules are, one by one; tests/kernel shows that those are right."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from dataplane.kernel.encode import Encoder
from dataplane.kernel.encode_chain import ChainEncoder
from rules import names
from rules.addresses import endpoint_text
from rules.affinity import AffinityBackend
from rules.ir import Comment, Family, PatternRules, PortMatch, Rule
from rules.patterns import ChoiceRules, DirectChoiceRules, EndpointRules, ServicePortPattern

_chains = st.integers(0, 1 << 40).map(lambda n: names.ENDPOINT_PREFIX + names.chain_hash(str(n)))
_ports = st.integers(1, 65535)
_shared = st.builds(
    ServicePortPattern,
    st.sampled_from(["default/web", "kube-system/kube-dns:dns", f"{'n' * 63}/{'s' * 250}:p"]),
    st.sampled_from(["tcp", "udp", "sctp"]),
    st.sampled_from([None, 10800]),
    st.booleans(),
    st.sampled_from(AffinityBackend),
)


def _addresses(family: Family) -> st.SearchStrategy[str]:
    return st.ip_addresses(v=4 if family is Family.IPV4 else 6).map(str)


@st.composite
def patterns(draw: st.DrawFn, family: Family) -> PatternRules:
    """Chains of all kinds, of few service ports, as they come in a table."""
    shared = draw(_shared)
    kind = draw(st.sampled_from([EndpointRules, ChoiceRules, DirectChoiceRules]))
    if kind is EndpointRules:
        return EndpointRules(shared, draw(_chains), draw(_addresses(family)), draw(_ports))
    port = PortMatch(shared.protocol, 80)
    leading = (Rule(names.MARK_MASQ, (Comment(shared.name), port), shared.protocol),)
    some_leading = leading if draw(st.booleans()) else ()
    if kind is ChoiceRules:
        texts = st.builds(endpoint_text, _addresses(family), _ports)
        choices = draw(st.lists(st.tuples(_chains, texts), max_size=5))
        return ChoiceRules(shared, some_leading, tuple(choices))
    direct = replace(shared, affinity_seconds=None, is_compact=True)
    chains = st.just("") | _chains
    endpoints = draw(st.lists(st.tuples(chains, _addresses(family), _ports), max_size=5))
    return DirectChoiceRules(direct, some_leading, tuple(endpoints))


@given(st.data(), st.sampled_from(list(Family)))
def test_patterns_are_encoded_as_their_rules(data: st.DataObject, family: Family) -> None:
    """Whatever chain came before, a pattern's entries are those of its rules, to the byte."""
    numbers: defaultdict[str, int] = defaultdict(lambda: 7)
    encoder, single = ChainEncoder(family, numbers), Encoder(family, numbers)
    for pattern in data.draw(st.lists(patterns(family), max_size=6)):
        assert encoder.entries(pattern) == tuple(single.rule(rule) for rule in pattern)


@given(st.data(), st.sampled_from(list(Family)))
def test_pattern_keeps_its_word(data: st.DataObject, family: Family) -> None:
    """What a pattern says of its rules without making them is true."""
    pattern = data.draw(patterns(family))
    rules = tuple(pattern)

    assert len(pattern) == len(rules)
    targets = {rule.target for rule in rules if isinstance(rule.target, str)}
    assert set(pattern.jump_targets()) == targets
