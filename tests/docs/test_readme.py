# SPDX-License-Identifier: Apache-2.0
"""README.md: its commands are run, its flags, chains and picture compared with the real ones."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import Final

import pytest

from rules import names
from tests.docs.markdown import ROOT, Command, code_in, read, table_rows
from tests.golden.loading import CASES

_README: Final = read("README.md")
_COMMANDS: Final = _README.commands()
_RUNNABLE: Final = [
    command
    for command in _COMMANDS
    if not command.needs_root and not command.line.startswith("make ")
]
_PATH: Final = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
_COMMAND_NAMES: Final = "run|dump|diff|trace|services|top|cleanup"
_EVERY_COMMAND: Final = "Flags of every command"
_RUN_AND_CLEANUP: Final = "Flags of `run` and `cleanup`"
_HASH: Final = re.compile(rf"({'|'.join(names.SERVICE_PREFIXES)})[A-Z2-7]{{16}}")
_JUMP: Final = re.compile(r"-A (\S+) (?:.* )?-j (KUBE-\S+)")


def _run(line: str) -> str:
    """What a line prints in a shell that stands where the reader's does."""
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", line],
        cwd=ROOT,
        env={**os.environ, "PATH": _PATH},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return "\n".join(text.rstrip() for text in done.stdout.splitlines())


def _help(command: str) -> Mapping[str, str]:
    """The flags of a command with what its help says of each."""
    (_, options) = _run(f"dataplane {command} --help").split("Options:\n")
    (_, *parts) = re.split(r"^  (?:-\w, )?--([a-z-]+)", options, flags=re.MULTILINE)
    texts = [" ".join(text.split()) for text in parts[1::2]]
    return {f"--{name}": text for name, text in zip(parts[::2], texts, strict=True)}


def _documented(heading: str) -> Mapping[str, str]:
    """The flags under a heading with the default that is given for each."""
    return {
        flag: row["default"].strip("`")
        for row in table_rows(_README.section(heading))
        for flag in code_in(row["flag"])
    }


def _golden_jumps() -> Iterator[tuple[str, str, str]]:
    """Table, origin and target of each jump in the golden files, ``*`` in place of hashes."""
    for path in sorted(CASES.glob("*/*.save")):
        table = ""
        for line in path.read_text().splitlines():
            if line.startswith("*"):
                table = line[1:]
            elif jump := _JUMP.fullmatch(line):
                yield table, _HASH.sub(r"\1*", jump[1]), _HASH.sub(r"\1*", jump[2])


@pytest.mark.parametrize("command", _RUNNABLE, ids=lambda command: command.line)
def test_commands_without_root_print_what_is_shown(command: Command) -> None:
    """Each excerpt stands, line by line, in what its command really prints, in the same order."""
    printed = _run(command.line)

    position = 0
    for is_gap, lines in groupby(command.output, key=lambda line: line == "..."):
        if not is_gap:
            excerpt = "\n".join(lines)
            found = printed.find(excerpt, position)
            assert found >= 0, f"not printed, or not in this order:\n{excerpt}"
            position = found + len(excerpt)


def test_dump_is_among_the_commands_with_an_excerpt() -> None:
    """The document shows the output of a dry run as a listing and as iptables-save text."""
    shown = [command.line for command in _RUNNABLE if command.output]

    assert any("dump" in line and "--output list" in line for line in shown)
    assert any("dump" in line and "--output" not in line.partition("|")[0] for line in shown)


def test_flags_in_commands_exist() -> None:
    """Whatever the reader is told to type, with root or without, has only flags that exist."""
    typed = [
        match
        for command in _COMMANDS
        if (match := re.search(rf"\bdataplane ({_COMMAND_NAMES})\b([^|]*)", command.line))
    ]

    assert {match[1] for match in typed} >= {"run", "dump", "diff", "trace", "services"}
    for match in typed:
        assert set(re.findall(r"--[a-z-]+", match[2])) <= _help(match[1]).keys()


@pytest.mark.parametrize(
    ("command", "headings"),
    [
        ("run", [_EVERY_COMMAND, _RUN_AND_CLEANUP, "Flags of `run`"]),
        ("dump", [_EVERY_COMMAND, "Flags of `dump`"]),
        ("diff", [_EVERY_COMMAND, "Flags of `diff`"]),
        ("trace", [_EVERY_COMMAND, "Flags of `trace`"]),
        ("services", [_EVERY_COMMAND, "Flags of `services`"]),
        ("top", [_EVERY_COMMAND, "Flags of `top`"]),
        ("cleanup", [_EVERY_COMMAND, _RUN_AND_CLEANUP]),
    ],
)
def test_flags_and_defaults_are_those_of_the_help(command: str, headings: list[str]) -> None:
    """The tables list every flag of each command, no other, and the defaults that it has."""
    told = {flag: default for heading in headings for flag, default in _documented(heading).items()}
    defaults = {
        flag: match[1] if (match := re.search(r"\[default: ([^;\]]+)", text)) else ""
        for flag, text in _help(command).items()
        if flag != "--help"
    }

    assert told == {
        flag: default.lower() if default in {"True", "False"} else default
        for flag, default in defaults.items()
    }


def test_commands_are_those_of_the_help() -> None:
    """The table of commands lists those that the program has."""
    (_, listed) = _run("dataplane --help").split("Commands:\n")
    existing = re.findall(r"^  (\w+)", listed, flags=re.MULTILINE)
    rows = table_rows(_README.section("Commands"))

    assert sorted(name for row in rows for name in code_in(row["command"])) == [
        f"dataplane {name}" for name in existing
    ]


def test_chains_are_reached_as_told() -> None:
    """The table names all chains and all jumps between them that any golden rule set has."""
    told = {
        (row["table"], origin, target)
        for row in table_rows(_README.section("A packet's way through the chains"))
        for target in code_in(row["chain"])
        for origin in code_in(row["reached from"])
    }

    assert told == set(_golden_jumps())


def test_picture_shows_each_chain() -> None:
    """The picture has all chains of the table but KUBE-MARK-MASQ, which almost all lead to."""
    (picture,) = _README.blocks("text")
    chains = {target for _, _, target in _golden_jumps()}

    assert set(re.findall(r"KUBE-[A-Z-]+\*?", picture)) == chains - {names.MARK_MASQ}


def test_picture_shows_the_order_in_the_filter_table() -> None:
    """Under each built-in chain of filter stand our chains in the order in which it has them."""
    (picture,) = _README.blocks("text")
    lines = picture.splitlines()
    (start,) = (number for number, line in enumerate(lines) if "INPUT" in line)
    columns = [match.span()[0] for match in re.finditer(r"[A-Z]+", lines[start])]
    shown: defaultdict[str, list[str]] = defaultdict(list)
    for line in lines[start + 1 :]:
        if "KUBE-" not in line:
            break
        for column in columns:
            shown[lines[start][column:].split()[0]] += line[column:].split("  ")[0].split()

    (filter_text, _) = (CASES / "document" / "ipv4.save").read_text().split("*nat\n")
    real: defaultdict[str, list[str]] = defaultdict(list)
    for origin, target in _JUMP.findall(filter_text):
        real[origin].append(target)
    assert shown == real
