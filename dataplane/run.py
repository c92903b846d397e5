# SPDX-License-Identifier: Apache-2.0
"""The node agent put together: sources, sync loop, and those who follow its syncs."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from dataplane.affinity import with_affinity_of_kernel
from dataplane.agent import Agent
from dataplane.config.addresses import ListenAddress
from dataplane.config.document import configz
from dataplane.conntrack.background import BackgroundReconciler
from dataplane.conntrack.observer import FlowObserver
from dataplane.errors import ConfigurationChangedError
from dataplane.instance_lock import instance_lock
from dataplane.kernel.libiptc import usable_families
from dataplane.leftovers import LeftoverRemover
from dataplane.picture import open_source
from dataplane.reports.cluster_events import ClusterEventRecorder
from dataplane.reports.conntrack_use import ConntrackUse
from dataplane.reports.events import EventRecorder, LoggingRecorder, health_check_port_taken
from dataplane.reports.health import ProxyHealth
from dataplane.reports.metrics import Metrics
from dataplane.reports.observation import SyncObserver
from dataplane.reports.other_variant import OtherVariantWarner
from dataplane.reports.source_observers import CountingObserver, EventObserver
from dataplane.reports.sync_log import SyncLog
from dataplane.reports.sync_reports import EventReporter, HealthReporter, MetricsReporter
from dataplane.serving.health_checks import ServiceHealthServers
from dataplane.serving.http import Respond
from dataplane.serving.listener import Endpoint, Listener
from dataplane.serving.loop import ServingThread
from dataplane.serving.observer import HealthCheckObserver
from dataplane.serving.pages import health_pages, metrics_pages
from dataplane.settings import ServerSettings, Settings
from dataplane.sources.api import ApiServer
from dataplane.sources.base import LoggingObserver, Source, SourceObserver
from dataplane.stack_dump import dump_stacks_on
from dataplane.state import ClusterState
from dataplane.sysctls import set_conntrack, set_oom_score
from rules.ir import Family

if TYPE_CHECKING:
    from dataplane.config_follower import ConfigurationFollower

_log = logging.getLogger(__name__)

_LATE_PERIODS = 2
"""A change that waited for so many sync periods makes the agent unhealthy."""


def run_agent(settings: Settings, lock_file: Path) -> None:
    """Follow the source and keep the node's rules up to date until a signal asks to stop.

    Raises:
        SecondInstanceError: another agent runs on this node.
        KernelUnusableError: this machine cannot be programmed.
        SourceError: there is nothing to follow.
        PortUnavailableError: a server cannot have its port, and was told to insist on it.
        ConfigurationChangedError: a new agent is to start, with the new configuration.
    """
    # First of all: without privileges the lock file cannot be had either, but that is no help.
    families = usable_families()
    # If it ever hangs, this tells where, and it goes on.
    dump_stacks_on(signal.SIGUSR1)
    with instance_lock(lock_file), ExitStack() as running:
        settings = with_affinity_of_kernel(settings, families)
        _prepare_node(settings)
        _Composition(settings, families, running).run()
    _log.info("stopped; the rules stay in place")


def _prepare_node(settings: Settings) -> None:
    set_conntrack(settings.conntrack, os.cpu_count() or 1, settings.proc_sys)
    if settings.oom_score_adj is not None:
        set_oom_score(settings.oom_score_adj)


class _Composition:
    """All parts of one agent; what they start is stopped when ``running`` is left."""

    def __init__(self, settings: Settings, families: Sequence[Family], running: ExitStack) -> None:
        self._settings = settings
        self._families = families
        self._running = running
        self._metrics = Metrics(families)
        self._metrics.register(ConntrackUse(settings.proc_sys))
        self._health = ProxyHealth(families, _LATE_PERIODS * settings.sync.sync_period_seconds)
        self._recorder = self._open_recorder()

    def run(self) -> None:
        settings = self._settings
        agent = Agent(settings, self._families, self._metrics)
        state = ClusterState(agent.note_change, self._metrics)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: agent.stop())
        observer = self._source_observer()
        # Before the rest is put together, which takes about as long as the first answer.
        self._start(open_source(settings.source, state, observer, self._metrics.api_requested))
        observers = self._observers()
        if settings.node_port_addresses:
            # Imported here: it loads pyroute2, which takes a third of a second.
            from dataplane.sources.interface_addresses import (  # noqa: PLC0415 - see above
                InterfaceAddressSource,
            )

            self._start(InterfaceAddressSource(agent.note_change, observer))
        _log.info(
            "programming %s for node %s",
            " and ".join(family.value for family in self._families),
            settings.source.node_name,
        )
        configuration = self._follow_configuration(agent)
        agent.run(state.picture, observers)
        if configuration is not None and configuration.has_changed:
            # Not with success: a supervisor may restart only what failed.
            raise ConfigurationChangedError(
                f"{settings.configuration_file} was changed: this agent ends and leaves its rules"
                " in place; start it again to have the new configuration followed"
            )

    def _follow_configuration(self, agent: Agent) -> ConfigurationFollower | None:
        if self._settings.configuration_file is None:
            return None
        # Imported here, as manifests are: it loads what watches files.
        from dataplane.config_follower import ConfigurationFollower  # noqa: PLC0415 - see above

        follower = ConfigurationFollower(self._settings.configuration_file, agent.stop)
        self._start(follower)
        return follower

    def _observers(self) -> Sequence[SyncObserver]:
        """In the order in which they are told: what others act upon comes first."""
        is_strict = self._settings.options.strict_source_ranges
        status, status_pages = self._status()
        return (
            HealthReporter(self._health),
            HealthCheckObserver(self._open_servers(status_pages)),
            FlowObserver(self._open_reconciler()),
            MetricsReporter(self._metrics),
            SyncLog(strict_source_ranges=is_strict),
            OtherVariantWarner(),
            LeftoverRemover(),
            EventReporter(self._recorder, strict_source_ranges=is_strict),
            *status,
            *self._service_metrics(),
        )

    def _status(self) -> tuple[Sequence[SyncObserver], Mapping[str, Respond]]:
        """What follows syncs for the status page, and its pages, if it is wanted."""
        if not self._settings.servers.has_status_page:
            return (), {}
        # Imported here: not all agents need it.
        from dataplane.status.board import StatusBoard  # noqa: PLC0415 - see above
        from dataplane.status.pages import StatusSources, status_pages  # noqa: PLC0415 - see above
        from dataplane.status.worker import Worker  # noqa: PLC0415 - see above

        board, worker = StatusBoard(), Worker()
        self._running.callback(worker.stop)
        sources = StatusSources(self._settings, self._families, self._health, board, worker)
        return (board,), status_pages(sources)

    def _service_metrics(self) -> Sequence[SyncObserver]:
        """What tells Prometheus of Services, if it is wanted."""
        limit = self._settings.servers.metrics_per_service
        if not limit:
            return ()
        # Imported here: few agents need it.
        from dataplane.reports.service_metrics import ServiceMetrics  # noqa: PLC0415 - see above

        metrics = ServiceMetrics(limit)
        self._metrics.register(metrics)
        return (metrics,)

    def _open_servers(self, status_pages: Mapping[str, Respond]) -> ServiceHealthServers:
        thread = ServingThread()
        thread.start()
        self._running.callback(thread.stop)
        servers = self._settings.servers
        self._serve(thread, servers, servers.healthz, health_pages(self._health, self._metrics))
        configuration = self._settings.configuration
        self._serve(
            thread,
            servers,
            servers.metrics,
            metrics_pages(self._metrics, lambda: configz(configuration), status_pages),
        )
        return ServiceHealthServers(
            thread,
            is_proxy_healthy=lambda: self._health.read().is_live,
            on_unavailable=lambda service, error: self._recorder.record(
                health_check_port_taken(service, error)
            ),
        )

    @staticmethod
    def _serve(
        thread: ServingThread,
        servers: ServerSettings,
        address: ListenAddress | None,
        pages: Respond,
    ) -> None:
        if address is None:
            return
        listener = Listener(Endpoint(address.host, address.port, is_every_family=True), pages)
        if servers.bind_hard_fail:
            listener.bind()
        thread.open(listener)

    def _open_reconciler(self) -> BackgroundReconciler:
        reconciler = BackgroundReconciler(
            lambda family, report: self._metrics.conntrack_reconciled(
                family, report.seconds, report.deleted
            )
        )
        self._start(reconciler)
        return reconciler

    def _open_recorder(self) -> EventRecorder:
        source = self._settings.source
        if source.manifests:
            return LoggingRecorder()
        recorder = ClusterEventRecorder(
            ApiServer(source.kubeconfig, source.master, self._metrics.api_requested),
            source.node_name,
        )
        self._start(recorder)
        return recorder

    def _source_observer(self) -> SourceObserver:
        logging_observer = CountingObserver(self._metrics, LoggingObserver())
        if self._settings.source.manifests:
            # There is nobody to tell but the log.
            return logging_observer
        return EventObserver(self._recorder, logging_observer)

    def _start(self, part: Source) -> None:
        part.start()
        self._running.callback(part.stop)
