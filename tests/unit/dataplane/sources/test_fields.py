# SPDX-License-Identifier: Apache-2.0
"""Addresses and networks in canonical form, judged by the ipaddress module."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dataplane.sources.fields import WrongFieldError, address, network

_ADDRESSES = st.one_of(
    st.ip_addresses(),
    # Many zeros: where to shorten is the question.
    st.integers(0, 7).map(lambda group: IPv6Address(0xFD00 << 16 * group)),
)


@given(value=_ADDRESSES)
@example(IPv6Address("::"))
@example(IPv6Address("::102:304"))
@example(IPv6Address("fd00:0:0:1::"))
@example(IPv6Address("fd00:0:1:1:1:1:1:1"))
def test_canonical_form_of_addresses(value: IPv4Address | IPv6Address) -> None:
    """Every spelling of an address gives its one canonical form."""
    if isinstance(value, IPv6Address) and value.ipv4_mapped is not None:
        with pytest.raises(WrongFieldError, match="written as the IPv4 address"):
            address(str(value), "field")
        return
    for spelling in (str(value), value.exploded, value.exploded.upper()):
        assert address(spelling, "field") == str(value)


def _judged(text: str) -> str | None:
    """The canonical form of an address that may be used; None for any other text."""
    try:
        value = ip_address(text)
    except ValueError:
        return None
    is_mapped = isinstance(value, IPv6Address) and value.ipv4_mapped is not None
    return None if is_mapped or "%" in text else str(value)


@given(text=st.text(alphabet="0123456789abf:.%/ ", max_size=20))
@example("::ffff:10.0.0.1")
@example("fe80::1%1")
@example("::10.0.0.1")
@example("10.0.0.01")
def test_only_addresses_are_addresses(text: str) -> None:
    """A text is an address exactly when the ipaddress module takes it; zones are not allowed."""
    expected = _judged(text)
    if expected is None:
        with pytest.raises(WrongFieldError):
            address(text, "field")
    else:
        assert address(text, "field") == expected


@given(value=_ADDRESSES, length=st.integers(0, 128))
def test_canonical_form_of_networks(value: IPv4Address | IPv6Address, length: int) -> None:
    """A network loses its host bits and the white space around it."""
    if length > value.max_prefixlen or getattr(value, "ipv4_mapped", None):
        with pytest.raises(WrongFieldError):
            network(f"{value}/{length}", "field")
    else:
        expected = str(ip_network((value, length), strict=False))
        assert network(f" {value}/{length}\t", "field") == expected
