# SPDX-License-Identifier: Apache-2.0
from typing import Self

class NFCTAttrTuple:
    def __init__(
        self,
        *,
        family: int = ...,
        saddr: str | None = ...,
        daddr: str | None = ...,
        proto: int | None = ...,
        sport: int | None = ...,
        dport: int | None = ...,
    ) -> None: ...

class nfct_msg:  # noqa: N801 -- the library's name
    data: bytearray
    @classmethod
    def create_from(cls, **attributes: object) -> Self: ...
    def __setitem__(self, key: str, value: object) -> None: ...
    def encode(self) -> None: ...
