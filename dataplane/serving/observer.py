# SPDX-License-Identifier: Apache-2.0
"""Lets health-check node ports follow the rules: none tells of what is not programmed."""

from __future__ import annotations

from dataplane.reports.observation import SyncObserver, SyncOutcome
from dataplane.serving.health_checks import ServiceHealthServers
from rules.health_checks import health_check_services, listening_addresses


class HealthCheckObserver(SyncObserver):
    """Opens, updates and closes health-check node ports after each sync."""

    def __init__(self, servers: ServiceHealthServers) -> None:
        self._servers = servers

    def succeeded(self, outcome: SyncOutcome) -> None:
        """See :class:`SyncObserver`."""
        self._servers.sync(
            outcome.family,
            health_check_services(outcome.picture.services, outcome.context),
            listening_addresses(outcome.context),
        )
