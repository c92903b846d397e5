# SPDX-License-Identifier: Apache-2.0
"""The kernel's connection-tracking table, in the network namespace of the calling thread."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Final

from dataplane.conntrack.errors import ConntrackError
from dataplane.conntrack.wire import (
    delete_request,
    dump_request,
    is_in_a_zone,
    read_flow,
    read_name,
)
from dataplane.netlink import Message, messages
from rules.flows import Flow
from rules.ir import Family

if TYPE_CHECKING:
    from pyroute2 import NFCTSocket

_DATAGRAM_SIZE: Final = 65536
"""The kernel sends at most 32 KiB at once."""
_BATCH_SIZE: Final = 128
"""If the kernel refuses all of a batch, its answers still fit into a socket's default buffer."""


def find_entries(
    family: Family, protocol: str, ports: Collection[int], is_wanted: Callable[[Flow], bool]
) -> Iterator[bytes]:
    """The names of the entries of ``protocol`` that are addressed to one of ``ports`` and wanted.

    The kernel sends on when it is read from, so a table of any size takes no more memory than a
    small one. Entries that come and go meanwhile may be missed or be named twice.

    Raises:
        ConntrackError: the kernel does not tell.
    """
    with _talking(family) as sock:
        sock.send(dump_request(family, protocol, sequence=1))
        while True:
            datagram = sock.recv(_DATAGRAM_SIZE)
            for message in messages(datagram):
                if message.error is not None:
                    _require(family, message, (0,))
                    return
                flow = read_flow(datagram, message.content, protocol, ports)
                if flow and is_wanted(flow) and not is_in_a_zone(datagram, message.content):
                    yield read_name(datagram, message.content)


def delete_entries(family: Family, names: Iterable[bytes]) -> int:
    """Delete the entries of these names and return how many of them still existed.

    Raises:
        ConntrackError: the kernel refuses.
    """
    remaining = iter(names)
    deleted = 0
    with _talking(family) as sock:
        while batch := list(islice(remaining, _BATCH_SIZE)):
            last = len(batch)
            sock.send(
                b"".join(
                    delete_request(family, name, sequence, acknowledge=sequence == last)
                    for sequence, name in enumerate(batch, start=1)
                )
            )
            deleted += last - _count_missing(family, sock, last)
    return deleted


def _count_missing(family: Family, sock: NFCTSocket, last: int) -> int:
    """How many requests up to number ``last`` the kernel had no entry for."""
    missing = 0
    while True:
        for message in messages(sock.recv(_DATAGRAM_SIZE)):
            _require(family, message, (0, errno.ENOENT))
            missing += message.error == errno.ENOENT
            if message.sequence == last:
                return missing


def _require(family: Family, message: Message, expected: tuple[int, ...]) -> None:
    if message.error is not None and message.error not in expected:
        raise ConntrackError(_refusal(family, message.error))


@contextmanager
def _talking(family: Family) -> Iterator[NFCTSocket]:
    # Takes a third of a second, which the first rules need not wait for.
    from pyroute2 import NFCTSocket  # noqa: PLC0415 - see above

    try:
        with NFCTSocket() as sock:
            yield sock
    except OSError as error:
        raise ConntrackError(_refusal(family, error.errno or 0)) from error


def _refusal(family: Family, number: int) -> str:
    return (
        f"cannot clear {family.value} conntrack entries: {os.strerror(number)}; this needs the "
        "privilege NET_ADMIN and the kernel module nf_conntrack_netlink"
    )
