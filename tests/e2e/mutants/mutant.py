# SPDX-License-Identifier: Apache-2.0
"""What a mutant is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

Put = Callable[[object, str, object], None]
"""Sets an attribute, as ``setattr`` does; a test may want to set it back."""
Fault = Callable[[Put], None]
"""Puts a fault into the agent's parts."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """The agent with one fault."""

    name: str
    description: str
    """What is wrong with it, in a sentence."""
    fault: Fault
    scenarios: tuple[str, ...]
    """Those that should catch it, the quickest first: no others are played."""
    symptom: str
    """What their failures say then, as a regular expression: on a busy machine they can fail
    without any fault."""
