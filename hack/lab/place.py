# SPDX-License-Identifier: Apache-2.0
"""Where sockets are made: on a machine of the lab, or where this process lives anyhow."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Protocol


class Place(Protocol):
    """What servers and questions need to know of a machine."""

    @property
    def name(self) -> str:
        """What its servers call themselves."""

    def entered(self) -> AbstractContextManager[None]:
        """Let the calling thread live there."""


@dataclass(frozen=True, slots=True)
class Here:
    """The machine that this process lives on, whatever that is."""

    name: str

    def entered(self) -> AbstractContextManager[None]:
        """Stay."""
        return nullcontext()
