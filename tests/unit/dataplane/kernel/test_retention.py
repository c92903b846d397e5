# SPDX-License-Identifier: Apache-2.0
"""Which chains and rules stay; tests/kernel/test_refused_at_takeover.py has them in a kernel."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from dataplane.kernel.retention import EVERYTHING, NOTHING, Retention
from rules import names

_JUMPS: Final[Mapping[str, tuple[str, ...]]] = {
    "KUBE-SERVICES": ("KUBE-FW-A", "KUBE-SVC-B", "KUBE-NODEPORTS"),
    "KUBE-FW-A": ("KUBE-XLB-A", "KUBE-MARK-DROP"),
    "KUBE-XLB-A": ("KUBE-SVC-A", "KUBE-SEP-1"),
    "KUBE-SVC-A": ("KUBE-SEP-1", "KUBE-SEP-2"),
    "KUBE-SEP-1": ("KUBE-MARK-MASQ", "DNAT"),
    "KUBE-SEP-2": ("KUBE-MARK-MASQ", "DNAT"),
    "KUBE-SVC-B": ("KUBE-SEP-3",),
    "KUBE-SEP-3": ("DNAT",),
}
_A: Final = Retention(frozenset({"A"}))


def _entry(target: str) -> bytes:
    return target.encode()


def _merged(retention: Retention, chain: str, *present: str) -> list[str]:
    """What becomes of a chain that should lead to KUBE-SVC-C and to node ports."""
    desired = [_entry("KUBE-SVC-C"), _entry(names.NODE_PORTS)]
    entries = retention.merge(chain, desired, [_entry(name) for name in present], bytes.decode)
    return [entry.decode() for entry in entries]


def test_chains_of_a_service_port_stay_with_all_that_they_lead_to() -> None:
    """Whatever kind they are of; fixed chains and those of others are not concerned."""
    staying = _A.chains(_JUMPS, lambda chain: _JUMPS[chain])
    assert sorted(staying) == [
        *("KUBE-FW-A", "KUBE-SEP-1", "KUBE-SEP-2", "KUBE-SVC-A", "KUBE-XLB-A")
    ]
    assert EVERYTHING.chains(_JUMPS, lambda chain: _JUMPS[chain]) == _JUMPS.keys() - {
        names.SERVICES
    }


def test_rules_that_stay_come_before_node_ports() -> None:
    """An address of a service may be one of the node's, too."""
    present = ("KUBE-FW-A", "KUBE-SVC-B", "KUBE-SVC-C", names.NODE_PORTS)
    assert _merged(NOTHING, names.SERVICES, *present) == ["KUBE-SVC-C", names.NODE_PORTS]
    assert _merged(_A, names.SERVICES, *present) == ["KUBE-SVC-C", "KUBE-FW-A", names.NODE_PORTS]
    assert _merged(EVERYTHING, names.SERVICES, *present) == [
        *("KUBE-SVC-C", "KUBE-FW-A", "KUBE-SVC-B", names.NODE_PORTS)
    ]


def test_chains_for_a_range_of_vips_keep_rules_for_a_while_only() -> None:
    """They are not there for good: what stays longer has to stand above them."""
    chain = "KUBE-SVC-IP-10.96.0.0-20"
    assert _merged(EVERYTHING, chain, "KUBE-FW-A") == ["KUBE-SVC-C", "KUBE-FW-A", names.NODE_PORTS]
    assert _merged(_A, chain, "KUBE-FW-A") == ["KUBE-SVC-C", names.NODE_PORTS]


def test_chains_that_services_do_not_share_have_desired_rules_only() -> None:
    """Two versions of what marks or masquerades packets would not go together."""
    assert _merged(EVERYTHING, names.POSTROUTING, "RETURN") == ["KUBE-SVC-C", names.NODE_PORTS]


def test_retention_is_included_in_what_keeps_as_much() -> None:
    """From one to another that includes it, nothing has to be looked for and removed."""
    both = Retention(frozenset({"A", "B"}))
    assert both.includes(_A)
    assert _A.includes(NOTHING)
    assert EVERYTHING.includes(both)
    assert not _A.includes(both)
    assert not both.includes(EVERYTHING)
