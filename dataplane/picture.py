# SPDX-License-Identifier: Apache-2.0
"""Sources by settings: the one that a command follows, and a single picture from it."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event
from typing import TYPE_CHECKING, Final

from dataplane.errors import SourceError
from dataplane.settings import SourceSettings
from dataplane.sources.base import LoggingObserver, Source, SourceObserver
from dataplane.state import ClusterState, Picture, StateSink

if TYPE_CHECKING:
    from dataplane.sources.api import ApiRequest

_PATIENCE_SECONDS: Final = 60.0


def open_source(
    settings: SourceSettings,
    sink: StateSink,
    observer: SourceObserver,
    on_request: Callable[[ApiRequest], None] = lambda _: None,
) -> Source:
    """The source that delivers to ``sink`` what ``settings`` point to; not started yet.

    ``on_request`` is told of each request to an API server.

    Raises:
        SourceError: the cluster's configuration cannot be used.
    """
    if settings.manifests:
        # Imported here: it loads what watches files, and a cluster does not need that.
        from dataplane.sources.manifests import ManifestSource  # noqa: PLC0415 - see above

        return ManifestSource(settings.manifests, settings.node_name, sink, observer)
    # Imported here: the kubernetes package takes half a second, and manifests do not need it.
    from dataplane.sources.api import ApiServer  # noqa: PLC0415 - see above
    from dataplane.sources.cluster import ClusterSource  # noqa: PLC0415 - see above

    server = ApiServer(settings.kubeconfig, settings.master, on_request)
    return ClusterSource(server, settings.node_name, sink, observer)


def take_picture(settings: SourceSettings) -> Picture:
    """What the source says now.

    Raises:
        SourceError: it cannot be read, or a cluster did not answer for a minute.
    """
    is_complete = Event()

    def on_change() -> None:
        if state.picture() is not None:
            is_complete.set()

    state = ClusterState(on_change)
    if settings.manifests:
        from dataplane.sources.manifests import load_manifests  # noqa: PLC0415 - as above

        observer = LoggingObserver()
        load_manifests(settings.manifests, settings.node_name, observer).deliver(state)
    else:
        source = open_source(settings, state, LoggingObserver())
        source.start()
        try:
            is_complete.wait(_PATIENCE_SECONDS)
        finally:
            source.stop()
    picture = state.picture()
    if picture is None:
        raise SourceError(
            f"the cluster did not give all Services, EndpointSlices and Node {settings.node_name} "
            f"within {_PATIENCE_SECONDS:g} s; see the messages above"
        )
    return picture
