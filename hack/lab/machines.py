# SPDX-License-Identifier: Apache-2.0
"""A lab: machines, the links between them, and the servers on them, removed at the end."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from lab.commands import run_ip
from lab.echo import EchoServers
from lab.errors import CommandFailedError, LabUnavailableError
from lab.host import Host
from lab.namespaces import add_namespaces, new_prefix, remove_namespaces, sweep
from lab.requirements import require_root_and_programs

# Both are needed: duplicate address detection is off for a link only if neither asks for it. It
# would keep an IPv6 address unusable for a second or two.
_SETTINGS_OF_A_HOST = ("net.ipv6.conf.all.accept_dad", "net.ipv6.conf.default.accept_dad")


@dataclass(frozen=True, slots=True)
class Port:
    """One end of a link."""

    host: Host
    device: str
    addresses: tuple[str, ...] = ()
    """With prefix lengths, of both families."""


class Lab:
    """Makes machines and links; as a context manager, removes them whatever happens."""

    folder: Path
    """For files of this lab, such as logs; removed with it."""

    def __init__(self) -> None:
        self._prefix = new_prefix()
        self._cleanup = ExitStack()
        self._servers = EchoServers()

    def __enter__(self) -> Self:
        """Start empty, after removing what labs of dead processes left behind."""
        require_root_and_programs()
        sweep()
        self.folder = Path(tempfile.mkdtemp(prefix=self._prefix))
        self._cleanup.callback(shutil.rmtree, self.folder, ignore_errors=True)
        self._cleanup.callback(self._servers.close)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End all processes and servers, and remove all machines."""
        self._cleanup.close()

    def add_hosts(self, *names: str) -> tuple[Host, ...]:
        """Add machines without links; their loopback works."""
        hosts = tuple(Host(name, self._prefix + name, self.folder) for name in names)
        namespaces = [host.namespace for host in hosts]
        self._cleanup.callback(remove_namespaces, namespaces)
        add_namespaces(namespaces)
        for host in hosts:
            self._cleanup.callback(host.end_processes)
            for key in _SETTINGS_OF_A_HOST:
                host.set_sysctl(key, "0")
            host.ip("link set lo up")
        return hosts

    def connect(self, one: Port, other: Port) -> None:
        """Put a cable between two machines and give its ends their addresses."""
        near = f"name {one.device} netns {one.host.namespace}"
        far = f"name {other.device} netns {other.host.namespace}"
        run_ip([f"link add {near} type veth peer {far}"])
        for port in (one, other):
            set_up(port)

    def serve(self, host: Host, port: int, *, addresses: Iterable[str] | None = None) -> None:
        """Answer TCP and UDP on ``port``: at all addresses ``host`` has now, or at those given."""
        self._servers.listen(host, port, tuple(host.addresses if addresses is None else addresses))


def set_up(port: Port) -> None:
    """Switch on an existing device and give it its addresses."""
    port.host.ip(
        f"link set {port.device} up",
        *(f"address add {address} dev {port.device} nodad" for address in port.addresses),
    )
    port.host.addresses.extend(address.partition("/")[0] for address in port.addresses)


def require_usable_machine() -> None:
    """Raise ``LabUnavailableError`` unless a machine can be made and can filter packets."""
    try:
        with Lab() as lab:
            (host,) = lab.add_hosts("trial")
            for program in ("iptables-legacy", "ip6tables-legacy"):
                host.run([program, "-t", "nat", "-S"])
    except CommandFailedError as error:
        raise LabUnavailableError(
            "this machine lets root build no network namespaces with iptables-legacy rules; in a "
            f"container, give it --privileged ({error})"
        ) from error
