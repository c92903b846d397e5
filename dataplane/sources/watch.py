# SPDX-License-Identifier: Apache-2.0
"""One watch: the events of one open connection."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Final, NamedTuple

import msgspec
import urllib3
from urllib3.exceptions import HTTPError

from dataplane.sources.api import RelistNeededError, RequestFailedError, Status

_CHUNK: Final = 1 << 16


class _Line(msgspec.Struct):
    """One line of a watch's answer."""

    type: str
    object: msgspec.Raw


class _VersionedMeta(msgspec.Struct, rename="camel"):
    resource_version: str = ""


class _Versioned(msgspec.Struct):
    metadata: _VersionedMeta


class WatchEvent(NamedTuple):
    """One change, or with type BOOKMARK the news that there was none."""

    type: str
    object: msgspec.Raw
    version: str
    """The resourceVersion from which a later watch can go on; empty if it is unreadable."""


_LINE: Final = msgspec.json.Decoder(_Line)
_VERSIONED: Final = msgspec.json.Decoder(_Versioned)
_STATUS: Final = msgspec.json.Decoder(Status)


class WatchStream:
    """An open watch."""

    def __init__(self, response: urllib3.BaseHTTPResponse) -> None:
        """Read from ``response``."""
        self._response = response

    def events(self) -> Iterator[WatchEvent]:
        """The events until the server ends the watch.

        Raises:
            RequestFailedError: the connection broke, or has been silent for too long.
            RelistNeededError: the server reports an error, or sends what is no event.
        """
        try:
            for line in self._lines():
                yield _event(line)
        finally:
            self._response.close()

    def interrupt(self) -> None:
        """End the watch; the one method that may be called from another thread."""
        # It may have ended by itself just now.
        with suppress(ValueError, RuntimeError, OSError):
            self._response.shutdown()

    def _lines(self) -> Iterator[bytes]:
        rest = b""
        while chunk := self._read():
            *lines, rest = (rest + chunk).split(b"\n")
            yield from (line for line in lines if line.strip())

    def _read(self) -> bytes:
        try:
            return self._response.read1(_CHUNK)
        except (HTTPError, OSError, ValueError) as error:
            raise RequestFailedError(f"the watch broke: {error}") from error


def _event(line: bytes) -> WatchEvent:
    try:
        event = _LINE.decode(line)
        if event.type == "ERROR":
            status = _STATUS.decode(event.object)
            raise RelistNeededError(f"the watch ended: {status.code} {status.message}".rstrip())
    except (msgspec.MsgspecError, ValueError) as error:
        raise RelistNeededError(f"the watch sent what is no event: {error}") from error
    try:
        version = _VERSIONED.decode(event.object).metadata.resource_version
    except (msgspec.MsgspecError, ValueError):
        version = ""
    return WatchEvent(event.type, event.object, version)
