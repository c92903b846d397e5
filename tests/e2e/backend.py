# SPDX-License-Identifier: Apache-2.0
"""What scenarios need of the cluster that they are played on, whatever it is made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess
from typing import Protocol

from lab import Outcome, Target
from lab.plan import DualStack
from rules.ir import Family
from tests.e2e.api import Api
from tests.e2e.schema import Pod, Program


class Conversing(Protocol):
    """Somebody who asks the same server again and again, through one connection."""

    def ask(self, timeout_seconds: float = ...) -> Outcome:
        """Ask once."""

    def close(self) -> None:
        """Close the connection."""


class Origin(Protocol):
    """Where questions come from."""

    def converse(
        self, target: Target, *, source: str | None = ..., source_port: int = ..., mark: int = ...
    ) -> Conversing:
        """Begin to ask a server; nothing is sent yet."""


class Client(Origin, Protocol):
    """The machine outside of the cluster."""

    def fetch(self, url: str, timeout_seconds: float) -> tuple[int, str]:
        """Status and body that HTTP has for a URL; raises ``OSError`` if it has none."""


class NodeMachine(Origin, Protocol):
    """A node, as somebody with all rights on it sees it."""

    def run(self, argv: Sequence[str]) -> CompletedProcess[str]:
        """Run a program to its end, which must be a good one."""


@dataclass(frozen=True, slots=True)
class Node:
    """One node."""

    number: int
    """The mark on a client's packets that leads them to this node."""
    address: DualStack
    own: frozenset[str]
    """All its addresses, those towards its pods included."""
    machine: NodeMachine

    def sources(self, family: Family) -> frozenset[str]:
        """The addresses that its own packets, and masqueraded ones, come from."""
        return frozenset(one for one in self.own if (":" in one) is (family is Family.IPV6))


class PlacedPod(Protocol):
    """A pod that has its addresses."""

    @property
    def host(self) -> Origin:
        """Where it asks from."""

    @property
    def address(self) -> DualStack:
        """Its addresses."""


class Pods(Protocol):
    """The pods of one scenario."""

    def __getitem__(self, name: str) -> PlacedPod:
        """The pod of that name, deleted ones included."""

    def add(self, pod: Pod) -> None:
        """Create it, with servers that answer."""

    def change(self, name: str, *, ready: bool | None, terminating: bool | None) -> None:
        """Change what is given."""

    def called(self, machine: str) -> str:
        """Which pod it is that answers under this name."""

    def release(self) -> None:
        """Let go of all that they used."""


class Proxy(Protocol):
    """The program of one node."""

    def start(self, program: Program | None = ..., flags: tuple[str, ...] = ...) -> None:
        """Start a program, the usual one if none is named, in place of what runs."""

    def stop(self) -> None:
        """End it politely; its rules stay."""

    def kill(self) -> None:
        """End it as a crash would."""

    def check(self) -> None:
        """Raise if it has ended by itself."""

    def bring_back(self) -> None:
        """Let the usual program run as it usually does."""


class ApiServer(Protocol):
    """The API server as a process."""

    def start_apiserver(self) -> None:
        """Start it; return once it is ready."""

    def kill_apiserver(self) -> None:
        """End it as a crash would."""


class Backend(Protocol):
    """A cluster."""

    @property
    def program(self) -> Program:
        """Who usually serves the nodes."""

    @property
    def api(self) -> Api:
        """The API of the cluster."""

    @property
    def client(self) -> Client:
        """Who asks from outside."""

    @property
    def nodes(self) -> Mapping[str, Node]:
        """By the name that scenarios have for them; clients send to the first."""

    @property
    def proxies(self) -> Mapping[str, Proxy]:
        """By node; none where ``proxy-control`` is not offered."""

    @property
    def control_plane(self) -> ApiServer:
        """Of use where ``api-server-control`` is offered."""

    def pods_of(self, namespace: str) -> Pods:
        """Begin a scenario's pods."""

    def register_nodes(self) -> None:
        """Set the Nodes back to what they are without a scenario."""

    def keep_logs(self, folder: Path) -> None:
        """Copy all that its programs wrote."""
