# SPDX-License-Identifier: Apache-2.0
"""How large a kernel table is, asked without reading it.

The answer takes microseconds whatever the table's size, so it tells cheaply that somebody flushed a
table or added to it. libiptc has no call for it; the kernel's getsockopt has (IPT_SO_GET_INFO in
linux/include/uapi/linux/netfilter_ipv4/ip_tables.h).
"""

from __future__ import annotations

import ctypes
import os
import socket
from struct import Struct
from typing import Final, NamedTuple

from dataplane.errors import KernelUnusableError
from rules.ir import Family, TableName

_GET_INFO: Final = 64
_INFO: Final = Struct("=32sI5I5III")
"""Name, hooks that the table has as bits, where their chains begin, where these end, sizes."""
_HOOKS: Final = 5
_SOCKETS: Final = {
    Family.IPV4: (socket.AF_INET, socket.IPPROTO_IP),
    Family.IPV6: (socket.AF_INET6, socket.IPPROTO_IPV6),
}

_libc: Final = ctypes.CDLL(None, use_errno=True)


class TableInfo(NamedTuple):
    """The size of a table, chain heads and policies included."""

    entries: int
    size: int
    """In bytes."""
    built_in: tuple[tuple[int, int], ...]
    """Where the rules of each built-in chain begin, and where its policy stands."""


def table_info(family: Family, table: TableName) -> TableInfo:
    """The size of a table now.

    Raises:
        KernelUnusableError: no such table here, no legacy xtables, or no privilege.
    """
    buffer = ctypes.create_string_buffer(table.value.encode(), _INFO.size)
    number = table_option(family, _GET_INFO, buffer)
    if number:
        raise KernelUnusableError(
            f"cannot ask for the {family.value} table {table.value}: {os.strerror(number)}"
        )
    _, hooks, *offsets, entries, size = _INFO.unpack(buffer)
    bounds = zip(offsets[:_HOOKS], offsets[_HOOKS:], strict=True)
    built_in = (bound for hook, bound in enumerate(bounds) if hooks & 1 << hook)
    return TableInfo(entries, size, tuple(built_in))


def table_option(family: Family, option: int, buffer: ctypes.Array[ctypes.c_char]) -> int:
    """Let the kernel answer the question in ``buffer`` in place; returns 0 or an errno.

    Python's own getsockopt neither sends a question nor takes a long answer.

    Raises:
        KernelUnusableError: no raw socket can be opened.
    """
    address_family, level = _SOCKETS[family]
    size = ctypes.c_uint(len(buffer))
    try:
        with socket.socket(address_family, socket.SOCK_RAW, socket.IPPROTO_RAW) as sock:
            failed = _libc.getsockopt(sock.fileno(), level, option, buffer, ctypes.byref(size))
            return ctypes.get_errno() if failed else 0
    except OSError as error:
        raise KernelUnusableError(f"cannot open a raw {family.value} socket: {error}") from error
