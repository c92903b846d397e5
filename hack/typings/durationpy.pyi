# SPDX-License-Identifier: Apache-2.0
# durationpy ships no types; this names what the agent uses of it.
from datetime import timedelta

class DurationError(ValueError): ...

def from_str(duration: str) -> timedelta: ...
