# SPDX-License-Identifier: Apache-2.0
"""Whether this kernel can remember clients in sets, found out by trying."""

from __future__ import annotations

import ctypes
import errno
import os
from typing import Final

from dataplane.errors import KernelError
from dataplane.kernel.encode import ADD_TO_SET_REVISION, SET_MATCH_REVISION
from dataplane.kernel.set_commands import destroy_sets, make_sets
from dataplane.kernel.set_messages import reason_text
from dataplane.kernel.table_info import table_option
from rules import names
from rules.ir import ClientSet, Family

_TRIAL: Final = ClientSet(f"{names.CLIENT_SET_PREFIX}TRIAL", 1)
_REVISION_SIZE: Final = 30
"""xt_get_revision in x_tables.h: a name of 29 bytes and a revision."""
_NAME_SIZE: Final = 29
_GET_MATCH_REVISION: Final = {Family.IPV4: 66, Family.IPV6: 68}
_GET_TARGET_REVISION: Final = {Family.IPV4: 67, Family.IPV6: 69}

_NEEDED: Final = (
    ("set match", _GET_MATCH_REVISION, "set", SET_MATCH_REVISION),
    ("SET target", _GET_TARGET_REVISION, "SET", ADD_TO_SET_REVISION),
)


def why_without_sets(family: Family) -> str:
    """What this kernel lacks to remember clients of ``family`` in sets; empty if nothing.

    Modules that are missing are loaded by the kernel itself when it is asked.
    """
    try:
        return _lacking_extension(family) or _refusal(family)
    except KernelError as error:
        return str(error)


def _lacking_extension(family: Family) -> str:
    for what, options, name, revision in _NEEDED:
        text = name.encode().ljust(_NAME_SIZE, b"\0") + bytes([revision])
        buffer = ctypes.create_string_buffer(text, _REVISION_SIZE)
        number = table_option(family, options[family], buffer)
        if number:
            return f"no {what} (module xt_set) for {family.value}: {os.strerror(number)}"
    return ""


def _refusal(family: Family) -> str:
    (number,) = make_sets([_TRIAL], family).values()
    destroy_sets([_TRIAL.name])
    # One may be there from another agent's trial just now.
    is_possible = number in (0, errno.EEXIST)
    return "" if is_possible else f"no set can be made for {family.value}: {reason_text(number)}"
