# SPDX-License-Identifier: Apache-2.0
"""The service ports of this node with their traffic, once."""

from __future__ import annotations

from time import sleep

from dataplane.picture import take_picture
from dataplane.settings import Settings
from dataplane.traffic.reader import TrafficReader
from rules.ir import Family
from rules.traffic.report import ServiceTraffic


def read_services(
    settings: Settings, families: tuple[Family, ...], rated_seconds: float
) -> tuple[ServiceTraffic, ...]:
    """What the source and the kernel say now; rates are measured for ``rated_seconds``, if any.

    Raises:
        SourceError: the source cannot be read.
        KernelError: the tables cannot be read.
    """
    picture = take_picture(settings.source)
    reader = TrafficReader(settings, families)
    services = reader.read(picture)
    if not rated_seconds:
        return services
    sleep(rated_seconds)
    return reader.read(picture)
