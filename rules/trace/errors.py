# SPDX-License-Identifier: Apache-2.0
"""Why a packet cannot be followed to its end."""

from __future__ import annotations

from enum import Enum

from rules.ir import Family
from rules.trace.packet import Step


class TraceError(ValueError):
    """Any error below."""


class UnknownRuleError(TraceError):
    """A rule that the packet comes to asks or does what is not understood.

    Attributes:
        step: the rule, and where it stands.
        unknown: what is not understood of it.
    """

    def __init__(self, step: Step, unknown: tuple[str, ...], family: Family) -> None:
        self.step = step
        self.unknown = unknown
        super().__init__(
            f"stopped at rule {step.number} of chain {step.chain} in {step.table.value}, which is "
            f"not understood ({', '.join(unknown)}): {step.text(family)}; what becomes of the "
            "packet from here on would be a guess"
        )


class Missing(Enum):
    """What may not have been said of a packet."""

    IN_INTERFACE = "input interface"
    SOURCE_PORT = "source port"


class UnknownPacketError(TraceError):
    """A rule asks for something of the packet that was not said.

    Attributes:
        step: the rule, and where it stands.
        missing: what was not said.
    """

    def __init__(self, step: Step, missing: Missing, family: Family) -> None:
        self.step = step
        self.missing = missing
        super().__init__(
            f"stopped at rule {step.number} of chain {step.chain} in {step.table.value}, which "
            f"asks for the packet's {missing.value}: {step.text(family)}; name it"
        )
