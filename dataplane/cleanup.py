# SPDX-License-Identifier: Apache-2.0
"""Removing all that the agent ever adds, and nothing else."""

from __future__ import annotations

import logging
from typing import Final

from dataplane.errors import DataplaneError, KernelError
from dataplane.kernel.applier import TableApplier
from rules.build import build
from rules.context import ProxyOptions, family_context
from rules.ir import Family, TableName
from rules.model import Node

_log = logging.getLogger(__name__)

_TABLE_ORDER: Final = (TableName.NAT, TableName.FILTER)


class CleanupError(DataplaneError):
    """Rules remain: a table could not be read or written."""


def remove_all_rules(
    options: ProxyOptions, families: tuple[Family, ...], *, lock_timeout_seconds: float
) -> None:
    """Remove our rules and chains from all tables of ``families``.

    Kubelet's KUBE-FIREWALL chain and the jumps to it stay: kubelet relies on them too.

    Raises:
        CleanupError: a table cannot be written; those before it are clean already.
    """
    for family in families:
        # Fixed chains and hooks have the same names whatever the services and the node are.
        tables = build({}, family_context(options, Node(""), family))
        for table in _TABLE_ORDER:
            applier = TableApplier(family, table, lock_timeout_seconds=lock_timeout_seconds)
            try:
                changes = applier.remove(tables[table])
            except KernelError as error:
                raise CleanupError(f"{error}; run cleanup again, some rules remain") from error
            _log.info(
                "%s table %s: removed %d rules and %d chains",
                family.value,
                table.value,
                changes.rules_deleted,
                changes.chains_deleted,
            )
