# SPDX-License-Identifier: Apache-2.0
"""Somebody flushes or edits what is ours: noticed and repaired within the sync period."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from dataplane.reports.family_names import FAMILY_NAMES
from lab import wait_until
from rules.ir import Family
from rules.names import CLUSTER_POLICY_PREFIX, endpoint_chain, service_hash
from tests.address_plan import IPV4, IPV6, PLANS, AddressPlan
from tests.faults.stand import POD_PORT, Stand
from tests.kernel.traffic import LOCAL

_PERIOD: Final = "300ms"
_PERIOD_AND_WORK_SECONDS: Final = 3.0
"""For a busy machine much more than the work takes, and a tenth of the period by default."""

_NEWS_ENDPOINT: Final = endpoint_chain("default/news", "tcp", f"{LOCAL.address.ipv4}:{POD_PORT}")

_ONLY_IPV4: Final = (
    f"nat -F {CLUSTER_POLICY_PREFIX}{service_hash('default/news', 'tcp')}",
    f"nat -F {_NEWS_ENDPOINT}",
    # As many rules of the same size as before.
    f"nat -R {_NEWS_ENDPOINT} 2 -p tcp -j DNAT --to-destination {LOCAL.address.ipv4}:8081",
    "filter -F KUBE-FIREWALL",
)
_ELSEWHERE: Final = (
    "nat -I KUBE-SERVICES -m mark --mark 0x77 -j KUBE-MARK-MASQ",
    "nat -A KUBE-NODEPORTS -p tcp --dport 1 -j KUBE-MARK-MASQ",
    "nat -R KUBE-MARK-MASQ 1 -j MARK --set-xmark 0x1/0x1",
    "nat -F KUBE-POSTROUTING",
    "nat -D POSTROUTING 1",
    "filter -F",
    "filter -F INPUT",
    "filter -D OUTPUT 1",
    "filter -F KUBE-FORWARD",
)
"""Damage that leaves the service ``web`` alone, as arguments of ``iptables -t``."""

_EVERYWHERE: Final = (
    "nat -F",
    "nat -F KUBE-SERVICES",
    "nat -F PREROUTING",
    "filter -I KUBE-FORWARD -j REJECT",
    "nat -I KUBE-SERVICES -j ACCEPT",
)


def test_drift_is_repaired(stand: Stand) -> None:
    """Each kind of damage is undone, counted and logged, and the repair harms no other service."""
    agent = stand.start_and_wait(f"--iptables-sync-period={_PERIOD}")

    with stand.all_answered():
        for damage in _ELSEWHERE:
            _harm_and_wait(stand, damage, PLANS)
        for damage in _ONLY_IPV4:
            _harm_and_wait(stand, damage, (IPV4,))
    for damage in _EVERYWHERE:
        _harm_and_wait(stand, damage, PLANS)
        stand.wait_until_answered()

    common = len(_ELSEWHERE) + len(_EVERYWHERE)
    for plan, count in ((IPV4, common + len(_ONLY_IPV4)), (IPV6, common)):
        family = f"{plan.family.value} table"
        told = agent.log_lines_with(family, "somebody else had changed our rules")
        assert len(told) == count, told
    assert stand.is_followed(LOCAL)


def _harm_and_wait(stand: Stand, damage: str, plans: Iterable[AddressPlan]) -> None:
    before, counted = stand.contents(), _repairs(stand, damage)
    for plan in plans:
        stand.site.node.iptables(plan, "-t", *damage.split())
        counted[plan.family] += 1
    wait_until(
        f"{damage!r} is repaired and counted",
        lambda: _repairs(stand, damage) == counted and stand.contents() == before,
        seconds=_PERIOD_AND_WORK_SECONDS,
    )


def _repairs(stand: Stand, damage: str) -> dict[Family, float]:
    """How often the damaged table was repaired, by family."""
    table = damage.partition(" ")[0]
    return {
        family: stand.metric("dataplane_repairs_total", ip_family=name, table=table)
        for family, name in FAMILY_NAMES.items()
    }
