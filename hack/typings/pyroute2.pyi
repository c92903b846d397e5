# SPDX-License-Identifier: Apache-2.0
# pyroute2 ships no types; this names what the agent uses of it.
from collections.abc import Iterator
from typing import Self, TypedDict

class NetlinkError(Exception): ...

class AddressMessage(TypedDict):
    attrs: list[tuple[str, str]]

class IPRoute:
    def __enter__(self) -> Self: ...
    def __exit__(self, *exception: object) -> None: ...
    def get_addr(self) -> Iterator[AddressMessage]: ...
