# SPDX-License-Identifier: Apache-2.0
"""What the tests of the sources share: an observer that remembers, and a bounded wait."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Condition
from typing import Final

from dataplane.errors import UnusableObjectError
from dataplane.state import ClusterState
from rules.model import ObjectKey, ServiceState

PATIENCE_SECONDS: Final = 10.0
WEB: Final = ObjectKey("default", "web")


@dataclass
class Witness:
    """A SourceObserver that remembers all, beside the state that a source writes to."""

    changed: Condition = field(default_factory=Condition)
    skips: list[UnusableObjectError] = field(default_factory=list)
    lists: list[tuple[str, int]] = field(default_factory=list)
    interruptions: list[tuple[str, str]] = field(default_factory=list)
    resumptions: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.state = ClusterState(self._tell)

    def skipped(self, error: UnusableObjectError) -> None:
        """See SourceObserver."""
        self.skips.append(error)
        self._tell()

    def listed(self, what: str, count: int) -> None:
        """See SourceObserver."""
        self.lists.append((what, count))
        self._tell()

    def interrupted(self, what: str, error: Exception) -> None:
        """See SourceObserver."""
        self.interruptions.append((what, str(error)))
        self._tell()

    def resumed(self, what: str) -> None:
        """See SourceObserver."""
        self.resumptions.append(what)
        self._tell()

    def service(self, key: ObjectKey = WEB) -> ServiceState | None:
        """What is known of one Service."""
        picture = self.state.picture()
        return None if picture is None else picture.services.get(key)

    def addresses(self, key: ObjectKey = WEB) -> list[str]:
        """The endpoint addresses that are known of one Service."""
        state = self.service(key)
        slices = () if state is None else state.slices
        return [endpoint.address for one in slices for endpoint in one.endpoints]

    def wait_for(self, condition: Callable[[], object]) -> None:
        """Wait until something true is returned, which must be soon."""
        with self.changed:
            assert self.changed.wait_for(condition, PATIENCE_SECONDS), (
                f"did not come: {self.lists} {self.interruptions} {self.skips}"
            )

    def _tell(self) -> None:
        with self.changed:
            self.changed.notify_all()
