# SPDX-License-Identifier: Apache-2.0
"""All mutants."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tests.e2e.mutants.choosing import CHOOSING
from tests.e2e.mutants.entering import ENTERING
from tests.e2e.mutants.following import FOLLOWING
from tests.e2e.mutants.masquerading import MASQUERADING
from tests.e2e.mutants.mutant import Mutant
from tests.e2e.mutants.refusing import REFUSING

MUTANTS: Final = (*MASQUERADING, *ENTERING, *CHOOSING, *REFUSING, *FOLLOWING)
BY_NAME: Final[Mapping[str, Mutant]] = {mutant.name: mutant for mutant in MUTANTS}
