# SPDX-License-Identifier: Apache-2.0
"""Checks of single fields: the canonical form of a value, or an error that names the field."""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import IPv6Address, ip_network
from socket import AF_INET, AF_INET6, inet_ntop, inet_pton
from typing import Final

_LABEL: Final = re.compile(r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?")
_SUBDOMAIN: Final = re.compile(rf"{_LABEL.pattern}(?:\.{_LABEL.pattern})*")
_MAX_LABEL: Final = 63
_MAX_SUBDOMAIN: Final = 253
_MAX_LENGTH_DIGITS: Final = 3
_IPV4_COMPATIBLE: Final = bytes(12)
_IPV4_MAPPED: Final = bytes(10) + b"\xff\xff"


class WrongFieldError(ValueError):
    """A field whose value cannot be used."""

    def __init__(self, field: str, reason: str) -> None:
        self.field = field
        self.reason = reason
        super().__init__(field, reason)


def label(text: str, field: str) -> str:
    """A DNS label: the names of namespaces, Services and ports."""
    return _name(text, field, _LABEL, _MAX_LABEL)


def subdomain(text: str, field: str) -> str:
    """A DNS subdomain: the names of most other objects."""
    return _name(text, field, _SUBDOMAIN, _MAX_SUBDOMAIN)


# For addresses the C library is ten times faster than the ipaddress module, and just as strict; a
# large cluster has very many endpoints.


def address(text: str, field: str) -> str:
    """An IP address in canonical form."""
    if is_ipv4(text):
        return text
    try:
        packed = inet_pton(AF_INET6, text)
    except (OSError, ValueError):
        raise WrongFieldError(field, f"{text!r} is not an IP address") from None
    if packed.startswith(_IPV4_MAPPED):
        raise WrongFieldError(field, f"{text!r} must be written as the IPv4 address that it holds")
    if packed.startswith(_IPV4_COMPATIBLE):
        # The C library would write the last part as an IPv4 address.
        return str(IPv6Address(packed))
    return inet_ntop(AF_INET6, packed)


def is_ipv4(text: str) -> bool:
    """Whether ``text`` is an IPv4 address; then it is in canonical form, there is no other."""
    try:
        inet_pton(AF_INET, text)
    except (OSError, ValueError):
        return False
    return True


def addresses(texts: Iterable[str], field: str) -> tuple[str, ...]:
    """IP addresses in canonical form, each once."""
    found = (address(text, f"{field}[{index}]") for index, text in enumerate(texts))
    return tuple(dict.fromkeys(found))


def networks(texts: Iterable[str], field: str) -> tuple[str, ...]:
    """Networks in canonical form, without host bits, each once."""
    found = (network(text, f"{field}[{index}]") for index, text in enumerate(texts))
    return tuple(dict.fromkeys(found))


def network(text: str, field: str) -> str:
    """A network in canonical form, without host bits; white space around it does not count."""
    base, slash, length = text.strip().partition("/")
    # ip_network would also take a bare address, a netmask and digits of other scripts.
    if slash and len(length) <= _MAX_LENGTH_DIGITS and length.isascii() and length.isdigit():
        base = address(base, field)
        if int(length) <= (128 if ":" in base else 32):
            return str(ip_network((base, int(length)), strict=False))
    raise WrongFieldError(field, f"{text!r} is not a network such as 192.0.2.0/24")


def _name(text: str, field: str, pattern: re.Pattern[str], longest: int) -> str:
    if len(text) > longest:
        raise WrongFieldError(
            field, f"{text[:longest]!r}... is too long: {len(text)} characters, {longest} allowed"
        )
    if not pattern.fullmatch(text):
        raise WrongFieldError(
            field, f"{text!r} is not a name: lower-case letters, digits and '-' inside"
        )
    return text
