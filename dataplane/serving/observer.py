# SPDX-License-Identifier: Apache-2.0
"""Lets health-check node ports follow the rules: none tells of what is not programmed."""

from __future__ import annotations

from collections.abc import Mapping

from dataplane.reports.observation import SyncObserver, SyncOutcome
from dataplane.serving.health_checks import ServiceHealthServers
from rules.context import FamilyContext
from rules.health_checks import health_check_services, listening_addresses
from rules.ir import Family
from rules.model import ObjectKey, ServiceState


class HealthCheckObserver(SyncObserver):
    """Opens, updates and closes health-check node ports after each sync."""

    def __init__(self, servers: ServiceHealthServers) -> None:
        self._servers = servers
        self._followed: dict[Family, tuple[Mapping[ObjectKey, ServiceState], FamilyContext]] = {}

    def succeeded(self, outcome: SyncOutcome) -> None:
        """See :class:`SyncObserver`."""
        services, context = outcome.picture.services, outcome.context
        followed = self._followed.get(outcome.family)
        if followed is not None and followed[0] is services and followed[1] == context:
            return
        self._followed[outcome.family] = (services, context)
        self._servers.sync(
            outcome.family,
            health_check_services(services, context),
            listening_addresses(context),
        )
