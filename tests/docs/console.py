# SPDX-License-Identifier: Apache-2.0
"""The console blocks of a document, typed into a shell, and what they print held against them.

``...`` stands for anything, in a line or in place of lines. A command that ends with another code
than 0 is followed by ``echo $?``, so that the reader sees the code as well.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Final, NamedTuple

from tests.docs.markdown import ROOT, Command, Document

PATH: Final = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
_SECONDS: Final = 60
_MARK: Final = "--- end of a command ---"
_SHOW_CODE: Final = "echo $?"


class Section(NamedTuple):
    """What stands under one heading."""

    heading: str
    commands: tuple[Command, ...]
    log_lines: tuple[str, ...]
    """Of blocks in the language ``log``: what the agent writes then."""


def sections(document: Document) -> Iterator[Section]:
    """The sections that tell the reader to type something, or what the agent writes."""
    for heading, text in document.sections():
        part = Document(text)
        logs = chain.from_iterable(block.splitlines() for block in part.blocks("log"))
        found = Section(heading, tuple(part.commands()), tuple(logs))
        if found.commands or found.log_lines:
            yield found


def exports(document: Document, given: Collection[str]) -> str:
    """The commands of a document that set variables, but for those that are ``given``."""
    lines = [command.line for command in document.commands()]
    names = [re.match(r"export (\w+)=", line) for line in lines]
    return "\n".join(
        line for line, name in zip(lines, names, strict=True) if name and name[1] not in given
    )


def type_in(
    commands: Sequence[Command],
    *,
    before: str = "",
    inside: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
) -> None:
    """Type commands into one shell, and check what each prints.

    ``before`` is run in the shell first; ``inside`` is a command that starts another one, such as
    that which enters a network namespace.
    """
    done = subprocess.run(
        [*inside, "bash", "-c", _script(commands, before)],
        cwd=ROOT,
        env={**os.environ, "PATH": PATH, **(environment or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=_SECONDS,
        check=False,
    )
    printed = re.split(rf"{_MARK} (\d+)\n", done.stdout)
    followed = [*(command.line for command in commands[1:]), ""]
    for number, (command, following) in enumerate(zip(commands, followed, strict=True)):
        output, code = printed[2 * number : 2 * number + 2]
        assert is_shown(command.output, output), f"{command.line} printed:\n{output}"
        assert code == "0" or following == _SHOW_CODE, f"{command.line} ended with {code}"


def is_shown(shown: Sequence[str], printed: str) -> bool:
    """Whether what is shown is all that was printed, but for what ``...`` stands for."""
    text = "\n".join(line.rstrip() for line in printed.splitlines())
    return re.fullmatch(_pattern("\n".join(shown)), text, flags=re.DOTALL) is not None


def is_logged(shown: str, log: str) -> bool:
    """Whether a line of the log has what is shown."""
    return any(re.search(_pattern(shown), line) for line in log.splitlines())


def _pattern(shown: str) -> str:
    pieces = re.split(r"\n?\.\.\.(?=\n|$)|\.\.\.", shown)
    return ".*".join(map(re.escape, pieces))


def _script(commands: Sequence[Command], before: str) -> str:
    """All commands, each followed by a mark with its exit code, which it leaves in place."""
    lines = [before]
    for command in commands:
        lines += [command.line, f'__code=$?; echo "{_MARK} $__code"; (exit $__code)']
    return "\n".join(lines)
