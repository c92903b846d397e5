# SPDX-License-Identifier: Apache-2.0
"""Tells when the addresses of this node's interfaces change, as node ports may depend on them."""

from __future__ import annotations

import os
from collections.abc import Callable
from select import select
from threading import Thread
from typing import Final

from pyroute2 import IPRoute
from tenacity import Retrying, wait_random_exponential

from dataplane.sources.base import SourceObserver

_WHAT: Final = "interface addresses"
_GROUPS: Final = 0x10 | 0x100
"""RTMGRP_IPV4_IFADDR and RTMGRP_IPV6_IFADDR of linux/include/uapi/linux/rtnetlink.h."""
_EVENTS: Final = frozenset({"RTM_NEWADDR", "RTM_DELADDR"})
_LONGEST_PAUSE_SECONDS: Final = 2.0


class InterfaceAddressSource:
    """Follows the kernel's announcements; a Source without a state of its own.

    After a failure it also tells of a change, since some may have been missed.
    """

    def __init__(self, on_change: Callable[[], None], observer: SourceObserver) -> None:
        """Call ``on_change``, from a thread of its own, when an address comes or goes."""
        self._on_change = on_change
        self._observer = observer
        self._stop_reader, self._stop_writer = os.pipe()
        self._thread = Thread(target=self._follow, name=_WHAT, daemon=True)

    def start(self) -> None:
        """Begin to follow."""
        self._thread.start()

    def stop(self) -> None:
        """End; returns at once."""
        os.close(self._stop_writer)
        self._thread.join()
        os.close(self._stop_reader)

    def _follow(self) -> None:
        pauses = wait_random_exponential(multiplier=0.1, max=_LONGEST_PAUSE_SECONDS)
        for attempt in Retrying(wait=pauses):
            with attempt:
                try:
                    self._follow_socket()
                except Exception as error:
                    self._observer.interrupted(_WHAT, error)
                    self._on_change()
                    raise

    def _follow_socket(self) -> None:
        with IPRoute() as netlink:
            netlink.bind(groups=_GROUPS)
            self._observer.resumed(_WHAT)
            while True:
                readable, _, _ = select([netlink.fileno(), self._stop_reader], [], [])
                if self._stop_reader in readable:
                    return
                if any(message["event"] in _EVENTS for message in netlink.get()):
                    self._on_change()
