# SPDX-License-Identifier: Apache-2.0
"""The node agent: source, sync loop, signals."""

from __future__ import annotations

import logging
import signal
from contextlib import ExitStack
from pathlib import Path

from dataplane.agent import Agent
from dataplane.instance_lock import instance_lock
from dataplane.kernel.libiptc import usable_families
from dataplane.kernel.other_variant import nft_findings
from dataplane.picture import open_source
from dataplane.settings import Settings
from dataplane.sources.base import LoggingObserver, Source
from dataplane.sources.interface_addresses import InterfaceAddressSource
from dataplane.state import ClusterState

_log = logging.getLogger(__name__)


def run_agent(settings: Settings, lock_file: Path) -> None:
    """Follow the source and keep the node's rules up to date until a signal asks to stop.

    Raises:
        SecondInstanceError: another agent runs on this node.
        KernelUnusableError: this machine cannot be programmed.
        SourceError: there is nothing to follow.
    """
    # First of all: without privileges the lock file cannot be had either, but that is no help.
    families = usable_families()
    with instance_lock(lock_file):
        for family in families:
            for finding in nft_findings(family):
                _log.warning("%s", finding)
        agent = Agent(settings, families)
        state = ClusterState(agent.note_change)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: agent.stop())
        sources: list[Source] = [open_source(settings.source, state)]
        if settings.node_port_addresses:
            sources.append(InterfaceAddressSource(agent.note_change, LoggingObserver()))
        with ExitStack() as started:
            for source in sources:
                source.start()
                started.callback(source.stop)
            _log.info(
                "programming %s for node %s",
                " and ".join(family.value for family in families),
                settings.source.node_name,
            )
            agent.run(state.picture)
        _log.info("stopped; the rules stay in place")
