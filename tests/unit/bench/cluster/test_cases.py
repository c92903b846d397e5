# SPDX-License-Identifier: Apache-2.0
"""Which changes are made, and to which VIPs connections go."""

from __future__ import annotations

from bench.cluster.cases import burst_changes, changes
from bench.cluster.paths import vips_in_order
from bench.objects import Shape, make_cluster

_CLUSTER = make_cluster(Shape(100, 10))
_LISTING = """\
-A KUBE-SVC-X ! -s 10.128.0.0/9 -d 10.96.1.5/32 -p tcp -m tcp --dport 80 -j KUBE-MARK-MASQ
-A KUBE-SERVICES -d 10.96.1.3/32 -p tcp -m tcp --dport 80 -j KUBE-SVC-A
-A KUBE-SERVICES -d 10.96.1.20/32 -p udp -m udp --dport 80 -j KUBE-SVC-B
-A KUBE-SVC-IP-10.96.1.0-24 -d 10.96.1.2/32 -p tcp -m tcp --dport 80 -j KUBE-SVC-C
"""


def test_each_change_is_undone_by_the_next() -> None:
    """An endpoint of another node goes and comes back, for one Service after the other."""
    made = list(changes(_CLUSTER, 8))
    whole = {one.key: one for one in _CLUSTER.slices}
    assert len({one.key for one in made}) == 4
    for gone, back in zip(made[::2], made[1::2], strict=True):
        assert back == whole[gone.key]
        assert gone != back
        assert back.endpoints[0].node_name != _CLUSTER.node.name


def test_a_burst_changes_something_with_each_write() -> None:
    """A slice that is written again becomes what it was before; in the end all is undone."""
    burst, undo = burst_changes(_CLUSTER, 199)
    before = {one.key: one for one in _CLUSTER.slices}
    now = dict(before)
    for one in burst:
        assert now[one.key] != one
        now[one.key] = one
    assert len(burst) == 199
    assert now | {one.key: one for one in undo} == before


def test_vips_are_in_the_order_of_their_rules() -> None:
    """Rules of dispatch chains count, those of policy chains do not."""
    assert vips_in_order(_LISTING, _CLUSTER, "tcp") == [("10.96.1.3", 80), ("10.96.1.2", 80)]
    assert vips_in_order(_LISTING, _CLUSTER, "udp") == [("10.96.1.20", 80)]


def test_vips_without_rules_of_their_own_are_in_order_of_number() -> None:
    """As in nftables' maps."""
    ordered = vips_in_order("", _CLUSTER, "tcp")
    assert [address for address, _ in ordered[:3]] == ["10.96.1.1", "10.96.1.2", "10.96.1.3"]
    assert len(ordered) == 95
