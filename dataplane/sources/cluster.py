# SPDX-License-Identifier: Apache-2.0
"""A cluster as a source: three kinds of objects, each followed in a thread of its own."""

from __future__ import annotations

from threading import Thread
from time import monotonic
from typing import Any, Final

from dataplane.sources import resources
from dataplane.sources.api import ApiServer
from dataplane.sources.base import SourceObserver
from dataplane.sources.follower import Follower, Timing
from dataplane.state import StateSink

_STOP_SECONDS: Final = 2.0
"""A request that is not answered yet cannot be broken off; its thread ends with the process."""


class ClusterSource:
    """Delivers what an API server has and follows its changes; a Source."""

    def __init__(
        self,
        server: ApiServer,
        node_name: str,
        sink: StateSink,
        observer: SourceObserver,
        timing: Timing | None = None,
    ) -> None:
        """Follow ``server`` for the node ``node_name``."""
        timing = timing or Timing()
        followers: tuple[Follower[Any], ...] = (
            Follower(server, resources.services(sink), observer, timing),
            Follower(server, resources.slices(sink), observer, timing),
            Follower(server, resources.node(sink, node_name, observer), observer, timing),
        )
        self._stops = tuple(follower.stop for follower in followers)
        self._threads = tuple(
            Thread(target=follower.run, name=f"watch-{number}", daemon=True)
            for number, follower in enumerate(followers)
        )

    def start(self) -> None:
        """Begin to list and watch."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Deliver nothing more."""
        for stop in self._stops:
            stop()
        latest = monotonic() + _STOP_SECONDS
        for thread in self._threads:
            thread.join(max(0.0, latest - monotonic()))
