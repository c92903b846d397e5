# SPDX-License-Identifier: Apache-2.0
"""Chain names: the values that the document and rules.md fix, and base32 itself."""

from __future__ import annotations

import base64
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules import names


@pytest.mark.parametrize(
    ("endpoint", "expected"),
    [
        ("", "LOLE4ISW44XBNF3G"),
        ("10.244.1.2:80", "MQ4W7Q2CV67URU6Q"),
        ("10.244.2.6:80", "YUPMFTK3IHSQP2LT"),
    ],
)
def test_hashes_are_those_of_the_document(endpoint: str, expected: str) -> None:
    """The chains of default/web and of its two endpoints are named as on the document's node."""
    assert names.chain_hash("default/web" + "tcp" + endpoint) == expected


def test_names_are_made_of_prefix_and_hash() -> None:
    """A service port's hash and an endpoint's chain name hash the texts that rules.md names."""
    assert names.service_hash("default/web", "tcp") == "LOLE4ISW44XBNF3G"
    assert (
        names.endpoint_chain("default/web", "tcp", "10.244.1.2:80") == "KUBE-SEP-MQ4W7Q2CV67URU6Q"
    )


@given(st.text())
def test_the_hash_is_base32_of_sha256(text: str) -> None:
    """For every text the hash is what the standard library makes of it."""
    digest = hashlib.sha256(text.encode()).digest()
    assert names.chain_hash(text) == base64.b32encode(digest).decode()[:16]


@pytest.mark.parametrize(("port", "expected"), [("", "default/web"), ("http", "default/web:http")])
def test_a_service_port_name_ends_with_the_port_name_if_there_is_one(
    port: str, expected: str
) -> None:
    """Only a named port adds its name."""
    assert names.service_port_name("default", "web", port) == expected


def test_the_longest_names_fit_into_the_kernel() -> None:
    """Every prefix leaves room for a hash."""
    prefixes = (*names.SERVICE_PREFIXES, *names.DISPATCH_PREFIXES)
    assert all(len(prefix) + 16 <= names.MAX_LENGTH for prefix in prefixes)


@pytest.mark.parametrize(
    ("region", "is_named_after"),
    [
        ("10.96.4.0/24", True),
        ("sctp-30720-32767", True),
        ("fd00:10:96::/112", False),
        ("198.51.100.255-sctp-30720-32767", False),
    ],
)
def test_a_dispatch_chain_is_named_after_its_region(region: str, *, is_named_after: bool) -> None:
    """As people write it where that fits and may stand in a name, else by its hash."""
    for prefix in names.DISPATCH_PREFIXES:
        name = names.dispatch_chain(prefix, region)
        assert (name == prefix + region.replace("/", "-")) is is_named_after
        assert len(name) <= names.MAX_LENGTH
