# SPDX-License-Identifier: Apache-2.0
from collections.abc import Iterator
from typing import Self

from pyroute2.netlink.nfnetlink.nfctsocket import NFCTAttrTuple

class ConntrackTuple:
    saddr: str
    daddr: str
    proto: int
    sport: int | None
    dport: int | None

class ConntrackEntry:
    tuple_orig: ConntrackTuple
    tuple_reply: ConntrackTuple
    id: int

class Conntrack:
    def __init__(self, *, nfgen_family: int = ...) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, *exception: object) -> None: ...
    def dump_entries(self, *, tuple_orig: NFCTAttrTuple) -> Iterator[ConntrackEntry]: ...
    def flush(self) -> None: ...
