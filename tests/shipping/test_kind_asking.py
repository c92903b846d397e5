# SPDX-License-Identifier: Apache-2.0
"""What runs in the pods of a kind cluster: servers, and somebody who asks; here, without pods."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from kind.asker import Asker
from kind.errors import AskerEndedError
from kind.package import package
from kind.wire import (
    Question,
    outcome_line,
    question_line,
    read_outcome,
    read_question,
)
from lab import Answered, Outcome, Protocol, Refused, Target, TimedOut, Unreachable, wait_until

_HERE: Final = "127.0.0.1"


@pytest.fixture
def python(tmp_path: Path) -> tuple[str, ...]:
    """A Python that finds nothing but the package, as in a pod."""
    file = tmp_path / "package.zip"
    file.write_bytes(package())
    return ("env", "--ignore-environment", f"PYTHONPATH={file}", sys.executable, "-S", "-P")


@pytest.fixture
def asker(python: tuple[str, ...]) -> Iterator[Asker]:
    """Somebody who asks on this machine."""
    with Asker([*python, "-m", "kind.inside", "ask"]) as asker:
        yield asker


@pytest.fixture
def port() -> int:
    """One that nobody listens on."""
    with socket.create_server((_HERE, 0)) as server:
        return int(server.getsockname()[1])


@contextmanager
def _serving(python: tuple[str, ...], port: int) -> Iterator[subprocess.Popen[bytes]]:
    command = [*python, "-m", "kind.inside", "serve", "web-1", _HERE, str(port)]
    process = subprocess.Popen(command)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _wait_for_server(asker: Asker, target: Target) -> None:
    wait_until("the server answers", lambda: isinstance(asker.probe(target), Answered))


@pytest.mark.parametrize("protocol", list(Protocol))
def test_a_pod_tells_its_name_and_whom_it_saw(
    python: tuple[str, ...], asker: Asker, port: int, protocol: Protocol
) -> None:
    """Its servers answer by TCP and by UDP."""
    target = Target(_HERE, port, protocol)
    with _serving(python, port):
        _wait_for_server(asker, target)

        answer = asker.probe(target, source="127.0.0.9")

    assert isinstance(answer, Answered)
    assert (answer.by, answer.source) == ("web-1", "127.0.0.9")


def test_a_port_without_a_server(asker: Asker, port: int) -> None:
    """A refusal comes back as one."""
    assert asker.probe(Target(_HERE, port)) == Refused()


def test_a_pod_that_terminates_goes_on_serving(
    python: tuple[str, ...], asker: Asker, port: int
) -> None:
    """SIGTERM does not end its servers."""
    target = Target(_HERE, port)
    with _serving(python, port) as process:
        _wait_for_server(asker, target)
        process.send_signal(signal.SIGTERM)

        assert isinstance(asker.probe(target), Answered)
        assert process.poll() is None


def test_a_conversation_keeps_its_connection(
    python: tuple[str, ...], asker: Asker, port: int
) -> None:
    """Its questions come from one port, and those beside it from others."""
    target = Target(_HERE, port)
    with _serving(python, port):
        _wait_for_server(asker, target)
        number = asker.new_conversation()
        first, beside, second = (
            asker.ask(Question(conversation=number, target=target, is_last=False)),
            asker.probe(target),
            asker.ask(Question(conversation=number, target=target)),
        )

    assert isinstance(first, Answered)
    assert first == second
    assert beside != first


def test_an_asker_that_has_ended(python: tuple[str, ...]) -> None:
    """The error names the command and its exit code."""
    asker = Asker([*python, "-c", "raise SystemExit(7)"])

    with pytest.raises(AskerEndedError, match=r"SystemExit.*exit code 7"):
        asker.probe(Target(_HERE, 1))
    asker.close()


@pytest.mark.parametrize(
    "outcome",
    [Answered("web-1", "10.244.1.2", 40000), Refused(), TimedOut(), Unreachable("no route")],
)
def test_outcomes_come_back_as_they_were(outcome: Outcome) -> None:
    """A line holds all of an outcome."""
    assert read_outcome(outcome_line(outcome)) == outcome


def test_questions_come_back_as_they_were() -> None:
    """A line holds all of a question."""
    question = Question(
        conversation=3,
        target=Target("fd00::1", 53, Protocol.UDP),
        source="fd00::2",
        source_port=4000,
        mark=2,
        timeout_seconds=0.5,
        is_last=False,
    )
    assert read_question(question_line(question)) == question
