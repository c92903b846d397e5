# SPDX-License-Identifier: Apache-2.0
"""The desired rules in print: a dry run that touches no kernel."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from enum import Enum

from dataplane.node_ports import context_of
from dataplane.settings import Settings
from dataplane.state import Picture
from rules.build import build
from rules.check import check_tables
from rules.ir import Family, Tables
from rules.jsonform import json_families
from rules.listing import list_tables
from rules.text import save_tables


class Output(Enum):
    """The forms a dump can have."""

    SAVE = "save"
    LIST = "list"
    JSON = "json"


def desired_tables(
    settings: Settings,
    picture: Picture,
    families: tuple[Family, ...],
    local_addresses: Callable[[], Iterable[str]] | None = None,
    *,
    was_large: bool = False,
) -> Mapping[Family, Tables]:
    """The tables that the agent would program; ``was_large`` is as in :func:`context_of`.

    Without ``local_addresses`` node ports are restricted to addresses of the Node object: a dry run
    has no interfaces.
    """
    addresses = local_addresses or (lambda: picture.node.addresses)
    tables = {
        family: build(
            picture.services,
            context_of(settings, picture, family, addresses, was_large=was_large),
        )
        for family in families
    }
    for family_tables in tables.values():
        check_tables(family_tables)
    return tables


def print_tables(tables: Mapping[Family, Tables], output: Output) -> str:
    """The tables in the form of ``output``."""
    match output:
        case Output.SAVE:
            return "".join(save_tables(tables[family], family) for family in tables)
        case Output.LIST:
            return "\n".join(list_tables(tables[family], family) for family in tables)
        case Output.JSON:
            return json.dumps(json_families(tables), indent=2) + "\n"
