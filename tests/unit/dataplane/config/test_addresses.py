# SPDX-License-Identifier: Apache-2.0
"""Addresses and ports as fields of the configuration hold them."""

from __future__ import annotations

import pytest

from dataplane.config.addresses import (
    ListenAddress,
    parse_listen_address,
    split_networks,
    with_port,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("192.0.2.1:10256", ListenAddress("192.0.2.1", 10256)),
        ("[::]:1", ListenAddress("::", 1)),
        ("[FD00::0:1]:65535", ListenAddress("fd00::1", 65535)),
    ],
)
def test_listen_addresses_are_read(text: str, expected: ListenAddress) -> None:
    """An address and a port are told apart for both families, the address in canonical form."""
    assert parse_listen_address(text) == expected


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "10256",
        ":10256",
        "127.0.0.1",
        "127.0.0.1:",
        "127.0.0.1:0",
        "127.0.0.1:65536",
        "127.0.0.1:http",
        "::1:80",
        "[::1]",
        "[127.0.0.1]:80",
        "localhost:80",
    ],
)
def test_other_text_is_no_listen_address(wrong: str) -> None:
    """Names, missing parts, ports out of range and bare IPv6 addresses are refused."""
    with pytest.raises(ValueError, match="IP address"):
        parse_listen_address(wrong)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("192.0.2.1", "192.0.2.1:80"),
        ("::1", "[::1]:80"),
        ("192.0.2.1:90", "192.0.2.1:90"),
        ("[::1]:90", "[::1]:90"),
        ("", ""),
        ("name", "name"),
    ],
)
def test_a_port_is_added_to_a_bare_address_only(text: str, expected: str) -> None:
    """What is not an address alone stays as it is, to be judged later."""
    assert with_port(text, 80) == expected


def test_networks_are_split_at_commas() -> None:
    """White space around networks does not count, and no text is no network."""
    assert split_networks(" 10.0.0.0/8 , fd00::/8") == ("10.0.0.0/8", "fd00::/8")
    assert split_networks(" ") == ()
