# SPDX-License-Identifier: Apache-2.0
"""Totals by Service: they only grow, and only so many Services have their own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from dataplane.traffic.totals import OTHERS, ServiceTotals
from rules.ir import Family, Rule, TableName
from rules.model import ObjectKey, ServiceState
from rules.traffic.accounts import Purpose, ServicePortView, service_ports
from rules.traffic.tally import CountedRule
from tests.address_plan import IPV4
from tests.builders import context, local, state
from tests.counting import as_counted

_KEYS = [ObjectKey("default", name) for name in ("a", "b", "c")]
_A, _B, _C = _KEYS


def _state(key: ObjectKey) -> ServiceState:
    return state(IPV4, local(IPV4.local_pod), key=key)


def _ports(*keys: ObjectKey) -> list[ServicePortView]:
    return list(service_ports(map(_state, keys), context(IPV4)))


def _reading(packets: Mapping[ObjectKey, int]) -> Iterable[CountedRule]:
    """As many connections of each Service."""
    return [
        as_counted(TableName.NAT, "KUBE-SERVICES", Rule(port.plan.cluster_chain), packets[port.key])
        for port in _ports(*packets)
    ]


class _Node:
    """A node whose counters a test sets."""

    def __init__(self, limit: int, *keys: ObjectKey) -> None:
        self.totals = ServiceTotals(limit)
        self.totals.follow(Family.IPV4, _ports(*keys))

    def count(self, packets: Mapping[ObjectKey, int]) -> Mapping[ObjectKey, int]:
        """The totals after a reading."""
        self.totals.add(Family.IPV4, _reading(packets))
        found = self.totals.read(Family.IPV4)
        return {key: total[Purpose.SERVED] for key, total in found.items()}


def test_totals_begin_with_the_first_reading() -> None:
    """What was counted before is an earlier agent's; what comes after is added."""
    node = _Node(5, _A, _B)

    assert node.count({_A: 100, _B: 7}) == {_A: 0, _B: 0, OTHERS: 0}
    assert node.count({_A: 101, _B: 7}) == {_A: 1, _B: 0, OTHERS: 0}


def test_totals_do_not_fall() -> None:
    """Neither with a rule that was made anew nor with one that is gone for a while."""
    node = _Node(5, _A)
    node.count({_A: 0})

    assert node.count({_A: 50})[_A] == 50
    assert node.count({_A: 3})[_A] == 53
    assert node.count({})[_A] == 53
    assert node.count({_A: 4})[_A] == 57


def test_the_busiest_have_their_own() -> None:
    """By what the kernel has counted at the first reading; the others come together."""
    node = _Node(1, *_KEYS)
    node.count({_A: 10, _B: 30, _C: 20})

    assert node.count({_A: 11, _B: 31, _C: 22}) == {_B: 1, OTHERS: 3}
    # Busier by now, but who has a place keeps it.
    assert node.count({_A: 1011, _B: 31, _C: 22}) == {_B: 1, OTHERS: 1003}


def test_a_place_that_becomes_free_goes_to_the_busiest() -> None:
    """Its total begins at zero, and the common one does not fall."""
    node = _Node(1, *_KEYS)
    node.count({_A: 0, _B: 30, _C: 0})
    node.count({_A: 1, _B: 31, _C: 2})
    node.totals.follow(Family.IPV4, _ports(_A, _C))

    assert node.count({_A: 2, _C: 5}) == {_C: 3, OTHERS: 4}


def test_a_service_that_comes_again_begins_at_zero() -> None:
    """It is another one."""
    node = _Node(2, _A)
    node.count({_A: 0})
    assert node.count({_A: 9})[_A] == 9
    node.totals.follow(Family.IPV4, [])
    assert node.count({}) == {OTHERS: 0}
    node.totals.follow(Family.IPV4, _ports(_A))

    assert node.count({_A: 2}) == {_A: 2, OTHERS: 0}
