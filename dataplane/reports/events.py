# SPDX-License-Identifier: Apache-2.0
"""Events on Services: what their owners must know and cannot read in the node's log."""

from __future__ import annotations

import logging
from typing import Final, NamedTuple, Protocol

from dataplane.errors import DataplaneError, UnusableObjectError
from dataplane.reports.family_names import FAMILY_NAMES
from rules.ir import Family
from rules.model import ObjectKey

_log = logging.getLogger(__name__)

_SERVICE: Final = "Service"


class ServiceEvent(NamedTuple):
    """A warning about one Service."""

    service: ObjectKey
    reason: str
    """Why, as one word; kube-proxy's where it has one."""
    action: str
    """What was attempted, as one word."""
    note: str
    """What happened and what to do, for humans."""


class EventRecorder(Protocol):
    """Takes events; never waits. May be called from any thread."""

    def record(self, event: ServiceEvent) -> None:
        """Pass ``event`` on."""


class LoggingRecorder:
    """An EventRecorder for work without a cluster: the log is all there is."""

    def record(self, event: ServiceEvent) -> None:
        """See :class:`EventRecorder`."""
        _log.warning("service %s: %s: %s", event.service, event.reason, event.note)


def health_check_port_taken(service: ObjectKey, error: DataplaneError) -> ServiceEvent:
    """The health-check node port of ``service`` cannot be listened on."""
    return ServiceEvent(
        service,
        "FailedToStartServiceHealthcheck",
        "Listen",
        f"{error}; until then load balancers take this node for one without endpoints",
    )


def source_ranges_of_other_family(
    service: ObjectKey, family: Family, *, is_closed: bool
) -> ServiceEvent:
    """No range in loadBalancerSourceRanges is of ``family``."""
    name = FAMILY_NAMES[family]
    outcome = "closed" if is_closed else "open to everybody"
    return ServiceEvent(
        service,
        "SourceRangesOfOtherFamilyOnly",
        "Restrict",
        f"no range in loadBalancerSourceRanges is {name}, so that the {name} load-balancer "
        f"addresses are {outcome}; add a range of that family",
    )


def unusable_field(error: UnusableObjectError) -> ServiceEvent | None:
    """A Service cannot be used; None if ``error`` is about anything else."""
    if error.kind != _SERVICE or error.key is None:
        return None
    field = f"{error.field}: " if error.field else ""
    return ServiceEvent(
        error.key,
        "UnusableField",
        "Decode",
        f"{field}{error.reason}; this change has no effect on the node, which keeps to what it knew"
        " before",
    )
