# SPDX-License-Identifier: Apache-2.0
"""Addresses, networks and ports as fields of the configuration hold them."""

from __future__ import annotations

from contextlib import suppress
from typing import Final, NamedTuple

from dataplane.sources.fields import WrongFieldError, address, network
from rules.addresses import endpoint_text

_LARGEST_PORT: Final = 65535


class ListenAddress(NamedTuple):
    """Where a server listens."""

    host: str
    port: int

    def __str__(self) -> str:
        return endpoint_text(self.host, self.port)


def parse_listen_address(text: str) -> ListenAddress:
    """The address and port in ``text``; an IPv6 address stands in brackets.

    Raises:
        ValueError: it is not of that form.
    """
    host, _, port = text.rpartition(":")
    is_bracketed = host.startswith("[") and host.endswith("]")
    bare = host[1:-1] if is_bracketed else host
    is_number = port.isascii() and port.isdigit()
    if (":" in bare) is is_bracketed and is_number and 1 <= int(port) <= _LARGEST_PORT:
        with suppress(ValueError):
            return ListenAddress(parse_address(bare), int(port))
    raise ValueError(f"{text!r} is not an IP address and a port, as 0.0.0.0:80 or [::]:80")


def with_port(text: str, port: int) -> str:
    """``text`` and ``port``, if it is nothing but an IP address."""
    try:
        return str(ListenAddress(parse_address(text), port))
    except ValueError:
        return text


def parse_address(text: str) -> str:
    """An IP address in canonical form.

    Raises:
        ValueError: it is none.
    """
    try:
        return address(text, "")
    except WrongFieldError as error:
        raise ValueError(error.reason) from None


def parse_network(text: str) -> str:
    """A network in canonical form, without host bits.

    Raises:
        ValueError: it is none.
    """
    try:
        return network(text, "")
    except WrongFieldError as error:
        raise ValueError(error.reason) from None


def split_networks(text: str) -> tuple[str, ...]:
    """The parts of a list separated by commas, as clusterCIDR holds networks."""
    return tuple(part.strip() for part in text.split(",")) if text.strip() else ()
