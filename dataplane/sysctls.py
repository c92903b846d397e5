# SPDX-License-Identifier: Apache-2.0
"""Kernel settings that rules depend on, and those that the operator has us make.

One that cannot be made is a warning, not an error: services work without.

``proc_sys`` is where the kernel's settings are files: /proc/sys, or in a pod another mount of it,
since container runtimes make /proc/sys read-only. The kernel itself only asks for NET_ADMIN.
"""

from __future__ import annotations

import errno
import logging
from pathlib import Path
from typing import Final

from dataplane.settings import ConntrackSettings

_log = logging.getLogger(__name__)

_ROUTE_LOCALNET: Final = "net/ipv4/conf/all/route_localnet"
_CONNTRACK: Final = "net/netfilter/nf_conntrack_"
_OOM_SCORE: Final = Path("/proc/self/oom_score_adj")
_MOST_ENTRIES_FOR_CORES: Final = 1 << 20
"""As in kube-proxy 1.36: beyond that, more cores do not ask for more memory."""
_ENTRIES_PER_BUCKET: Final = 4


def is_tcp_be_liberal(proc_sys: Path) -> bool:
    """Whether conntrack takes out-of-window packets for valid; False if it cannot be told."""
    try:
        return (proc_sys / f"{_CONNTRACK}tcp_be_liberal").read_text().strip() != "0"
    except OSError:
        return False


def enable_route_localnet(proc_sys: Path) -> None:
    """Let 127.0.0.0/8 be translated to other addresses, as node ports on localhost need.

    Only safe once the rule stands that keeps strangers from 127.0.0.0/8 (CVE-2020-8558).
    """
    _set(
        proc_sys / _ROUTE_LOCALNET,
        1,
        otherwise="node ports on localhost will not answer; set it yourself or use "
        "--iptables-localhost-nodeports=false",
    )


def conntrack_maximum(settings: ConntrackSettings, cores: int) -> int:
    """How many entries to allow on a machine with ``cores``; 0 leaves it as it is."""
    scaled = settings.max_per_core * cores
    if not scaled:
        return 0
    if scaled > _MOST_ENTRIES_FOR_CORES:
        return _MOST_ENTRIES_FOR_CORES
    return max(scaled, settings.minimum)


def set_conntrack(settings: ConntrackSettings, cores: int, proc_sys: Path) -> None:
    """Make connection tracking what ``settings`` say for a machine with ``cores``.

    As with kube-proxy, a higher limit of entries is lowered, but never the number of hash buckets.
    """
    maximum = conntrack_maximum(settings, cores)
    wanted = {
        "max": maximum,
        "tcp_timeout_established": int(settings.tcp_established_timeout_seconds),
        "tcp_timeout_close_wait": int(settings.tcp_close_wait_timeout_seconds),
        "tcp_be_liberal": int(settings.tcp_be_liberal),
        "udp_timeout": int(settings.udp_timeout_seconds),
        "udp_timeout_stream": int(settings.udp_stream_timeout_seconds),
    }
    otherwise = "it stays as it is; set it on the node, or leave it alone in our configuration"
    for name, value in wanted.items():
        if value:
            _set(proc_sys / f"{_CONNTRACK}{name}", value, otherwise=otherwise)
    if maximum:
        _set(
            proc_sys / f"{_CONNTRACK}buckets",
            maximum // _ENTRIES_PER_BUCKET,
            otherwise="lookups in a full table take longer",
            only_raise=True,
        )


def set_oom_score(adjustment: int, file: Path = _OOM_SCORE) -> None:
    """Tell the kernel how gladly (1000) or reluctantly (-1000) to end this process for memory."""
    _set(
        file,
        adjustment,
        otherwise="this process may be ended when memory is short; to lower its score, give it "
        "the privilege SYS_RESOURCE",
        # As in any pod that has no more privileges than rules need.
        expected=PermissionError,
    )


def _set(
    path: Path,
    value: int,
    *,
    otherwise: str,
    expected: type[OSError] | None = None,
    only_raise: bool = False,
) -> None:
    """Write ``value`` unless it is there already; if that fails, warn of what happens otherwise.

    A failure that is ``expected`` is told, but needs nobody's attention.
    """
    try:
        present = int(path.read_text())
        if present == value or (only_raise and present > value):
            return
        path.write_text(str(value))
    except OSError as error:
        is_expected = expected is not None and isinstance(error, expected)
        level = logging.INFO if is_expected else logging.WARNING
        if error.errno == errno.EROFS:
            otherwise += "; in a pod, mount the node's elsewhere and name the place by --proc-sys"
        _log.log(level, "cannot set %s to %d: %s; %s", path, value, error.strerror, otherwise)
    else:
        _log.info("set %s from %d to %d", path, present, value)
