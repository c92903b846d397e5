# SPDX-License-Identifier: Apache-2.0
"""Kernel settings that rules depend on, under /proc/sys."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Final

_log = logging.getLogger(__name__)

_ROOT: Final = Path("/proc/sys/net")
_ROUTE_LOCALNET: Final = _ROOT / "ipv4/conf/all/route_localnet"
_BE_LIBERAL: Final = _ROOT / "netfilter/nf_conntrack_tcp_be_liberal"


def is_tcp_be_liberal() -> bool:
    """Whether conntrack takes out-of-window packets for valid; False if it cannot be told."""
    try:
        return _BE_LIBERAL.read_text().strip() != "0"
    except OSError:
        return False


def enable_route_localnet() -> None:
    """Let 127.0.0.0/8 be translated to other addresses, as node ports on localhost need.

    Only safe once the rule stands that keeps strangers from 127.0.0.0/8 (CVE-2020-8558).
    """
    try:
        if _ROUTE_LOCALNET.read_text().strip() != "1":
            _ROUTE_LOCALNET.write_text("1")
            _log.info("set net.ipv4.conf.all.route_localnet to 1 for node ports on localhost")
    except OSError as error:
        _log.warning(
            "cannot set net.ipv4.conf.all.route_localnet, so node ports on localhost will not "
            "answer: %s; set it yourself or use --iptables-localhost-nodeports=false",
            error,
        )
