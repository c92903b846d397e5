# SPDX-License-Identifier: Apache-2.0
"""When a pass over the conntrack table is due, without a table. The passes are kernel tests."""

from __future__ import annotations

from dataplane.conntrack.reconciler import ConntrackReconciler
from rules.flows import FlowTarget, FlowTargets, SocketAddress
from rules.ir import Family

_TARGET = FlowTarget("udp", "10.96.0.10", 53)


def _served_by(*addresses: str) -> FlowTargets:
    return FlowTargets({_TARGET: frozenset(SocketAddress(one, 53) for one in addresses)})


def test_nothing_is_due_without_targets() -> None:
    """A node without UDP services never has its table read."""
    reconciler = ConntrackReconciler()

    assert not reconciler.note(Family.IPV4, FlowTargets({}))
    assert reconciler.run(Family.IPV4) is None


def test_the_first_targets_make_a_pass_due() -> None:
    """Flows may have begun before this process."""
    assert ConntrackReconciler().note(Family.IPV4, _served_by("10.244.1.2"))


def test_a_pass_stays_due_until_it_is_made() -> None:
    """Even if an endpoint that came and went leaves everything as it was before."""
    reconciler = ConntrackReconciler()
    reconciler.note(Family.IPV4, FlowTargets({}))

    for targets in (_served_by("10.244.1.2"), _served_by("10.244.1.3"), FlowTargets({})):
        assert reconciler.note(Family.IPV4, targets)


def test_families_are_due_on_their_own() -> None:
    """What happens in one family says nothing about the other."""
    reconciler = ConntrackReconciler()
    reconciler.note(Family.IPV4, _served_by("10.244.1.2"))

    assert not reconciler.note(Family.IPV6, FlowTargets({}))
    assert reconciler.run(Family.IPV6) is None
