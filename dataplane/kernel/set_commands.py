# SPDX-License-Identifier: Apache-2.0
"""Sets in the network namespace of the calling thread, many at a time."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Final

from dataplane.errors import KernelError
from dataplane.kernel.set_messages import (
    KernelSet,
    create_request,
    destroy_request,
    flush_request,
    list_request,
    number_request,
    read_number,
    read_set,
    reason_text,
)
from dataplane.netlink import Message, messages
from rules.ir import ClientSet, Family

_NETLINK_NETFILTER: Final = 12
_DATAGRAM_SIZE: Final = 65536
"""The kernel sends at most 32 KiB at once."""
_BATCH_SIZE: Final = 64
"""If the kernel refuses all of a batch, its answers still fit into a socket's default buffer."""
_ORDER_SIZE: Final = 512
"""As many requests fit into a socket's default buffer."""
_PATIENCE_SECONDS: Final = 10.0
"""The kernel answers before a request is sent; an answer that is lost must not stop everything."""

_Answer = tuple[bytes, Message]
_Request = Callable[[str, int], bytes]
"""By the name of a set and a sequence number."""


class SetsUnusableError(KernelError):
    """The kernel does not tell of its sets, or takes no requests."""


def list_sets() -> list[KernelSet]:
    """All sets, whoever made them.

    Raises:
        SetsUnusableError: the kernel does not tell.
    """
    found = []
    with _talking() as sock:
        sock.send(list_request(1))
        for datagram, message in _answers(sock):
            if message.error is None:
                found.append(read_set(datagram, message.content))
            elif message.error:
                raise _unusable(message.error)
            else:
                return found
    return found


def order_sets(sets: Iterable[ClientSet], family: Family) -> None:
    """Make ``sets`` without asking what became of them: thousands of answers take longer to hear.

    Raises:
        SetsUnusableError: the kernel takes no requests.
    """
    remaining = iter(sets)
    with _talking() as sock:
        while batch := list(islice(remaining, _ORDER_SIZE)):
            sock.send(b"".join(create_request(one, family, 0, is_answered=False) for one in batch))


def make_sets(sets: Iterable[ClientSet], family: Family) -> dict[str, int]:
    """Make ``sets``; by name, what became of each: 0, or why it was refused."""
    by_name = {one.name: one for one in sets}
    return _command(by_name, lambda name, sequence: create_request(by_name[name], family, sequence))


def destroy_sets(names: Iterable[str]) -> dict[str, int]:
    """Destroy sets that no rule names; by name, what became of each."""
    return _command(names, destroy_request)


def flush_sets(names: Iterable[str]) -> dict[str, int]:
    """Empty sets; by name, what became of each."""
    return _command(names, flush_request)


def numbers_of(names: Iterable[str]) -> dict[str, int]:
    """The kernel's numbers of those sets that exist.

    Raises:
        SetsUnusableError: the kernel does not tell.
    """
    return {
        name: read_number(datagram, message.content)
        for name, (datagram, message) in _ask(names, number_request)
        if message.error is None
    }


def _command(names: Iterable[str], request: _Request) -> dict[str, int]:
    return {name: message.error or 0 for name, (_, message) in _ask(names, request)}


def _ask(names: Iterable[str], request: _Request) -> Iterator[tuple[str, _Answer]]:
    """One request for each of ``names``, and the kernel's answer to it."""
    remaining = iter(names)
    with _talking() as sock:
        while batch := list(islice(remaining, _BATCH_SIZE)):
            sock.send(b"".join(request(name, sequence) for sequence, name in enumerate(batch)))
            yield from zip(batch, islice(_answers(sock), len(batch)), strict=True)


def _answers(sock: socket.socket) -> Iterator[_Answer]:
    """What the kernel sends, in the order of the requests."""
    while True:
        datagram = sock.recv(_DATAGRAM_SIZE)
        for message in messages(datagram):
            yield datagram, message


@contextmanager
def _talking() -> Iterator[socket.socket]:
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_NETFILTER) as sock:
            sock.settimeout(_PATIENCE_SECONDS)
            yield sock
    except OSError as error:
        raise _unusable(error.errno or 0) from error


def _unusable(number: int) -> SetsUnusableError:
    return SetsUnusableError(
        f"cannot ask the kernel for its sets: {reason_text(number)}; this needs the privilege "
        "NET_ADMIN and the kernel module ip_set"
    )
