# SPDX-License-Identifier: Apache-2.0
"""How session affinity remembers clients, and the sets in which it does.

``-m recent`` keeps the last 100 clients of an endpoint. A busy endpoint has more, and all others of
them move to another endpoint with their next connection. And the kernel looks for a list by its
name among all lists, whenever it replaces a table. A set has room for thousands of clients and is
found by a number, but somebody must make it before a rule can name it.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from typing import Final

from rules import names
from rules.ir import ClientSet

HASH_SIZE: Final = 512
"""Buckets of a set, 8 KiB with what the kernel needs besides. It does not add any for clients that
rules remember: with 3,000 of them, one of 400 finds its bucket full and is not remembered."""
MOST_CLIENTS: Final = 12 * HASH_SIZE
"""Of a set: the kernel keeps up to 12 in a bucket."""


class AffinityBackend(Enum):
    """Where the kernel remembers clients."""

    RECENT = "recent"
    """In lists of ``-m recent``, as kube-proxy."""
    IPSET = "ipset"
    """In sets."""


def client_sets(chains: Iterable[str], timeout_seconds: int) -> tuple[ClientSet, ...]:
    """The sets that the endpoints' among ``chains`` remember their clients in."""
    return tuple(
        ClientSet(names.client_set(chain), timeout_seconds)
        for chain in chains
        if chain.startswith(names.ENDPOINT_PREFIX)
    )
