# SPDX-License-Identifier: Apache-2.0
"""Sets on a machine, made and looked at with the program ipset: a judge of its own."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from lab import Host

_REMARK: Final = "# ipset "


def set_commands(saved: str) -> list[str]:
    """What ipset has to do before ``saved`` rules are loaded, by the remarks in them."""
    return [line.removeprefix(_REMARK) for line in saved.splitlines() if line.startswith(_REMARK)]


def without_remarks(saved: str) -> str:
    """The rest of ``saved`` rules."""
    return "".join(line for line in saved.splitlines(keepends=True) if not line.startswith("#"))


def restore_sets(host: Host, commands: Iterable[str]) -> None:
    """Let ipset make sets, unless they are there."""
    host.run(["ipset", "restore", "-exist"], stdin="".join(f"{line}\n" for line in commands))


def set_names(host: Host) -> list[str]:
    """The names of all sets."""
    return host.run(["ipset", "list", "-name"]).stdout.split()


def members(host: Host, name: str) -> list[str]:
    """The addresses in a set."""
    lines = host.run(["ipset", "save", name]).stdout.splitlines()
    return [line.split()[2] for line in lines if line.startswith("add ")]
