# SPDX-License-Identifier: Apache-2.0
"""Syncs that ended well, as the sync loop tells of them."""

from __future__ import annotations

from typing import Final

from dataplane.reports.observation import SyncOutcome
from dataplane.schedule import Reason
from dataplane.state import Picture
from dataplane.sync import FamilyReport
from rules.build import build
from rules.context import DetectLocalMode
from rules.ir import Family
from rules.news import News
from tests.address_plan import IPV4, IPV6, THIS_NODE
from tests.builders import context, local, node, remote, state

NODE: Final = THIS_NODE
_PLANS: Final = {plan.family: plan for plan in (IPV4, IPV6)}


def outcome(
    family: Family, *, news: News | None = None, endpoints: int = 2, bridge: str = ""
) -> SyncOutcome:
    """A sync that had nothing to change, of one Service with some endpoints.

    ``bridge`` is where packets of local pods come from; else they are told by the cluster CIDR.
    """
    plan = _PLANS[family]
    pods = (local(plan.local_pod), remote(plan.remote_pod))
    more = (remote(f"10.244.{number // 250 + 9}.{number % 250 + 1}") for number in range(endpoints))
    served = state(plan, *pods[:endpoints], *list(more)[2:])
    picture = Picture({served.service.key: served}, node(plan))
    here = (
        context(plan, detect_local_mode=DetectLocalMode.BRIDGE_INTERFACE, bridge_interface=bridge)
        if bridge
        else context(plan)
    )
    return SyncOutcome(
        family,
        Reason.CHANGE,
        0.01,
        picture,
        here,
        FamilyReport({}, build(picture.services, here)),
        changed_at=(),
        queue_seconds=0.0,
        news=news or News(),
    )
