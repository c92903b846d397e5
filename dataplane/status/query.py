# SPDX-License-Identifier: Apache-2.0
"""What a browser asks for, taken strictly: anything unexpected is refused with the reason."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final, TypeVar
from urllib.parse import parse_qsl

import click

from dataplane.errors import DataplaneError
from dataplane.packet_flags import PacketFlags, decode_packet

_Chosen = TypeVar("_Chosen", bound=Enum)

_LONGEST: Final = 1024
_LONGEST_SEARCH: Final = 100
_LONGEST_INTERFACE: Final = 15
_MOST_PARAMETERS: Final = 8
_MOST_SERVICES: Final = 200


class BadQueryError(DataplaneError):
    """A question that cannot be answered as it is."""


class Order(Enum):
    """How services are sorted."""

    NAME = "name"
    RATE = "rate"


class Which(Enum):
    """The rules that a packet is followed through."""

    DESIRED = "desired"
    LIVE = "live"


@dataclass(frozen=True, slots=True)
class ServicesQuery:
    """Which service ports to show."""

    search: str = ""
    """Part of a name, an address or an endpoint; any if empty."""
    order: Order = Order.NAME
    most: int = 50


@dataclass(frozen=True, slots=True)
class TraceQuery:
    """Which packet to follow, and through which rules."""

    packet: PacketFlags
    which: Which


def decode_nothing(query: str) -> None:
    """For pages that take no parameters.

    Raises:
        BadQueryError: there are some.
    """
    _parameters(query, ())


def decode_services(query: str) -> ServicesQuery:
    """``search``, ``order`` and ``limit``, none of which has to be there.

    Raises:
        BadQueryError: one cannot be used.
    """
    given = _parameters(query, ("search", "order", "limit"))
    search = given.get("search", "").strip().lower()
    if len(search) > _LONGEST_SEARCH:
        raise BadQueryError(f"search: at most {_LONGEST_SEARCH} characters")
    limit = given.get("limit", "50")
    if not (limit.isascii() and limit.isdigit() and 1 <= int(limit[:9]) <= _MOST_SERVICES):
        raise BadQueryError(f"limit: {limit!r} is no number from 1 to {_MOST_SERVICES}")
    return ServicesQuery(search, _choice(Order, "order", given.get("order", "name")), int(limit))


def decode_trace(query: str) -> TraceQuery:
    """``from`` and ``to``, and if wanted ``in`` (an interface) and ``rules``.

    Raises:
        BadQueryError: one cannot be used.
    """
    given = _parameters(query, ("from", "to", "in", "rules"))
    for name in ("from", "to"):
        if not given.get(name, "").strip():
            raise BadQueryError(f"{name}: missing; name an IP address")
    interface = given.get("in", "").strip() or None
    if interface is not None and not _is_interface(interface):
        raise BadQueryError(f"in: {interface!r} is no name of an interface")
    which = _choice(Which, "rules", given.get("rules", "desired"))
    try:
        packet = decode_packet(given["from"].strip(), given["to"].strip(), interface)
    except click.UsageError as error:
        # It speaks of flags, which have the names of these parameters.
        raise BadQueryError(error.message.replace("--", "")) from None
    return TraceQuery(packet, which)


def _parameters(query: str, known: Collection[str]) -> Mapping[str, str]:
    if len(query) > _LONGEST:
        raise BadQueryError(f"the query is longer than {_LONGEST} characters")
    if not query:
        return {}
    try:
        pairs = parse_qsl(
            query,
            keep_blank_values=True,
            strict_parsing=True,
            errors="strict",
            max_num_fields=_MOST_PARAMETERS,
        )
    except ValueError:
        raise BadQueryError("the query is not of the form name=value&name=value") from None
    given = dict(pairs)
    for name in given:
        if name not in known:
            raise BadQueryError(f"{name!r}: no such parameter; known: {', '.join(known) or 'none'}")
    if len(given) < len(pairs):
        raise BadQueryError("a parameter is named twice")
    return given


def _choice(kind: type[_Chosen], name: str, text: str) -> _Chosen:
    try:
        return kind(text)
    except ValueError:
        known = ", ".join(str(one.value) for one in kind)
        raise BadQueryError(f"{name}: {text!r} is none of {known}") from None


def _is_interface(text: str) -> bool:
    return (
        len(text) <= _LONGEST_INTERFACE
        and text.isascii()
        and text.isprintable()
        and not set(text) & {"/", " "}
    )
