# SPDX-License-Identifier: Apache-2.0
"""What is encoded is decoded as the same; damaged entries are never taken for something else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataplane.kernel.decode import Decoder
from dataplane.kernel.encode import Encoder
from dataplane.kernel.layout import ENTRY_LAYOUTS
from rules.build import build
from rules.context import FamilyContext
from rules.ir import Family, Rule
from rules.text import chains_in_order
from rules.trace.rule_set import ForeignRule
from tests.property.strategies import Cluster, clusters, contexts


@given(clusters(), contexts())
def test_every_rule_that_is_built_is_decoded(cluster: Cluster, on_node: FamilyContext) -> None:
    """Nothing is lost on the way into an entry and back."""
    for table in build(cluster.states(), on_node).values():
        indices = {one.name: index for index, one in enumerate(table.client_sets)}
        encoder, decoder = Encoder(on_node.family, indices), Decoder(on_node.family, indices)
        for _, rules in chains_in_order(table):
            for rule in rules:
                assert decoder.rule(encoder.rule(rule)) == rule


@pytest.mark.parametrize("family", Family)
@given(data=st.data())
def test_a_changed_byte_is_never_overlooked(family: Family, data: st.DataObject) -> None:
    """An entry that differs in any byte gives another rule, or a foreign one."""
    rule = Rule("KUBE-MARK-MASQ", source="10.0.0.0/8" if family is Family.IPV4 else "fd00::/8")
    entry = bytearray(Encoder(family).rule(rule))
    header = ENTRY_LAYOUTS[family].header_size
    place = data.draw(st.integers(0, header - 1).filter(lambda at: not _is_offset(family, at)))
    entry[place] ^= data.draw(st.integers(1, 255))

    decoded = Decoder(family).rule(bytes(entry))

    assert decoded != rule
    if not isinstance(decoded, ForeignRule):
        assert Encoder(family).rule(decoded) == bytes(entry)


def _is_offset(family: Family, place: int) -> bool:
    """Whether the byte tells where the entry's parts are, which the kernel checks itself."""
    start = ENTRY_LAYOUTS[family].target_offset_offset
    return start <= place < start + 4
