# SPDX-License-Identifier: Apache-2.0
"""README.md: its commands are run, its flags compared with the real ones."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping
from itertools import groupby
from typing import Final

import pytest

from tests.docs.console import PATH
from tests.docs.markdown import ROOT, Command, code_in, read, table_rows

_README: Final = read("README.md")
_COMMANDS: Final = _README.commands()
_RUNNABLE: Final = [
    command
    for command in _COMMANDS
    if not command.needs_root and not command.line.startswith("make ")
]
_COMMAND_NAMES: Final = "run|dump|diff|trace|services|top|cleanup"
_EVERY_COMMAND: Final = "Flags of every command"
_RUN_AND_CLEANUP: Final = "Flags of `run` and `cleanup`"


def _run(line: str) -> str:
    """What a line prints in a shell that stands where the reader's does."""
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", line],
        cwd=ROOT,
        env={**os.environ, "PATH": PATH},
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
