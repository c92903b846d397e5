# SPDX-License-Identifier: Apache-2.0
"""The tool that holds documents against shells: it must notice what it is there for."""

from __future__ import annotations

import pytest

from tests.docs.console import is_logged, is_shown, sections, type_in
from tests.docs.markdown import Command, Document


def _command(line: str, *output: str) -> Command:
    return Command(line, needs_root=False, output=output)


@pytest.mark.parametrize(
    ("shown", "printed", "is_right"),
    [
        (["one", "two"], "one\ntwo\n", True),
        (["one"], "one\ntwo\n", False),
        (["one", "..."], "one\ntwo\nthree\n", True),
        (["...", "three"], "one\ntwo\nthree\n", True),
        (["one", "...", "four"], "one\ntwo\nthree\n", False),
        (["in ... ms"], "in 4.2 ms\n", True),
        (["in ... ms"], "in 4.2 s\n", False),
        ([], "", True),
        ([], "unexpected\n", False),
        (["..."], "whatever\n", True),
        (["a+b"], "aab\n", False),
    ],
)
def test_what_is_shown_is_all_that_is_printed(
    shown: list[str], printed: str, *, is_right: bool
) -> None:
    """But for what three dots stand for."""
    assert is_shown(shown, printed) == is_right


def test_a_line_of_the_log_may_have_more_around() -> None:
    """Time and place of a message are not shown in documents; the message has to be there."""
    assert is_logged("failed after ... ms: no", "12:00 ERROR sync failed after 3 ms: no\n")
    assert not is_logged("failed after ... ms: no", "failed after 3 ms:\nno\n")


def test_commands_share_a_shell() -> None:
    """Variables of one command are there for the next, and so is its exit code."""
    type_in(
        [_command("export WHO=me"), _command("echo $WHO; false", "me"), _command("echo $?", "1")]
    )


@pytest.mark.parametrize(
    ("commands", "complaint"),
    [
        ([_command("false")], "false ended with 1"),
        ([_command("echo one", "two")], "echo one printed:\none"),
        ([_command("echo oops >&2")], "echo oops >&2 printed:\noops"),
        ([_command("true"), _command("false"), _command("true")], "false ended with 1"),
    ],
)
def test_what_goes_wrong_is_noticed(commands: list[Command], complaint: str) -> None:
    """An exit code that the reader is not shown, and output that is not shown."""
    with pytest.raises(AssertionError) as raised:
        type_in(commands)
    assert complaint in str(raised.value)


def test_sections_have_what_stands_under_their_heading() -> None:
    """Commands and lines of the log belong to the heading before them, also after other blocks."""
    text = "# One\n```console\n$ a\n# b\nout\n```\n## Two\ntext\n```log\nline\n```\n# Three\ntext\n"

    (one, two) = sections(Document(text))

    assert (one.heading, [command.line for command in one.commands]) == ("One", ["a", "b"])
    assert one.commands[1].output == ("out",)
    assert (two.heading, two.log_lines) == ("Two", ("line",))
