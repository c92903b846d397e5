# SPDX-License-Identifier: Apache-2.0
"""The agent's way from an event to the kernel, without its threads and its waiting."""

from __future__ import annotations

from bench.errors import BenchError
from bench.objects import Cluster
from bench.place import FAMILY
from dataplane.kernel.libiptc import open_table
from dataplane.settings import SyncSettings
from dataplane.state import ClusterState
from dataplane.sync import FamilyReport, FamilySync
from rules.ir import TableName
from rules.model import EndpointSlice


class Agent:
    """Keeps the IPv4 tables of the machine that the calling thread has entered."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._context = cluster.context
        self._state = ClusterState(lambda: None)
        self._sync = FamilySync(FAMILY, lock_timeout_seconds=SyncSettings().lock_timeout_seconds)

    def load(self) -> None:
        """Learn of all objects and program their rules."""
        self._state.replace_services(self._cluster.services)
        self._state.replace_slices(self._cluster.slices)
        self._state.put_node(self._cluster.node)
        self.sync()

    def follow(self, endpoint_slice: EndpointSlice) -> None:
        """Learn of a change of one slice and program what follows."""
        self._state.put_slice(endpoint_slice)
        self.sync()

    def sync(self, *, verify: bool = False) -> FamilyReport:
        """Program what is known.

        Raises:
            BenchError: some Service's rules were not accepted.
        """
        picture = self._state.picture()
        if picture is None:
            raise BenchError("there is nothing to sync before load()")
        report = self._sync.sync(picture.services, self._context, verify=verify)
        if report.set_aside:
            raise BenchError(f"set aside: {dict(report.set_aside)}")
        return report


def warm_up() -> None:
    """Load the libraries, as the agent does before it follows anything."""
    for table in TableName:
        with open_table(FAMILY, table):
            pass
