# SPDX-License-Identifier: Apache-2.0
"""What runs in the pods of a kind cluster: servers, and somebody who asks; here, without pods."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Final

import pytest

from kind.errors import AskerEndedError
from kind.package import package
from kind.remote import Remote
from kind.wire import Farewell, Question, outcome_line, read_outcome, read_request, request_line
from lab import Answered, Outcome, Protocol, Refused, Target, TimedOut, Unreachable, wait_until

_HERE: Final = "127.0.0.1"


class _Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        """Answer with the path."""
        self.send_response(503)
        self.end_headers()
        self.wfile.write(f"{self.path}\nof two lines\n".encode())

    def log_message(self, *_: object) -> None:
        """Stay silent."""


@pytest.fixture
def inside(tmp_path: Path) -> tuple[str, ...]:
    """What runs a command as in a pod: with nothing but the package, and Python."""
    file = tmp_path / "package.zip"
    file.write_bytes(package())
    folder = tmp_path / "bin"
    folder.mkdir()
    # Without the modules that are installed here.
    (folder / "python3").write_text(f'#!/bin/sh\nexec {sys.executable} -S -P "$@"\n')
    (folder / "python3").chmod(0o755)
    return ("env", "--ignore-environment", f"PYTHONPATH={file}", f"PATH={folder}")


@pytest.fixture
def pod(inside: tuple[str, ...]) -> Iterator[Remote]:
    """A place to ask from: this machine, as if it were a pod."""
    pod = Remote(inside)
    yield pod
    pod.close()


@pytest.fixture
def port() -> int:
    """One that nobody listens on."""
    with socket.create_server((_HERE, 0)) as server:
        return int(server.getsockname()[1])


@contextmanager
def _serving(inside: tuple[str, ...], port: int) -> Iterator[subprocess.Popen[bytes]]:
    command = [*inside, "python3", "-m", "kind.inside", "serve", "web-1", _HERE, str(port)]
    process = subprocess.Popen(command)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _probe(pod: Remote, target: Target, source: str | None = None) -> Outcome:
    with closing(pod.converse(target, source=source)) as conversation:
        return conversation.ask()


def _wait_for_server(pod: Remote, target: Target) -> None:
    wait_until("the server answers", lambda: isinstance(_probe(pod, target), Answered))


@pytest.mark.parametrize("protocol", list(Protocol))
def test_a_pod_tells_its_name_and_whom_it_saw(
    inside: tuple[str, ...], pod: Remote, port: int, protocol: Protocol
) -> None:
    """Its servers answer by TCP and by UDP."""
    target = Target(_HERE, port, protocol)
    with _serving(inside, port):
        _wait_for_server(pod, target)

        answer = _probe(pod, target, source="127.0.0.9")

    assert isinstance(answer, Answered)
    assert (answer.by, answer.source) == ("web-1", "127.0.0.9")


def test_a_port_without_a_server(pod: Remote, port: int) -> None:
    """A refusal comes back as one."""
    assert _probe(pod, Target(_HERE, port)) == Refused()


def test_a_pod_that_terminates_goes_on_serving(
    inside: tuple[str, ...], pod: Remote, port: int
) -> None:
    """SIGTERM does not end its servers."""
    target = Target(_HERE, port)
    with _serving(inside, port) as process:
        _wait_for_server(pod, target)
        process.send_signal(signal.SIGTERM)

        assert isinstance(_probe(pod, target), Answered)
        assert process.poll() is None


def test_a_conversation_keeps_its_connection(
    inside: tuple[str, ...], pod: Remote, port: int
) -> None:
    """Its questions come from one port, and those beside it from others."""
    target = Target(_HERE, port)
    with _serving(inside, port):
        _wait_for_server(pod, target)
        with closing(pod.converse(target)) as conversation:
            first, beside, second = conversation.ask(), _probe(pod, target), conversation.ask()

    assert isinstance(first, Answered)
    assert first == second
    assert beside != first


def test_a_program_goes_on_with_the_next_question(
    inside: tuple[str, ...], pod: Remote, port: int
) -> None:
    """One process asks one question after another, each through a connection of its own."""
    target = Target(_HERE, port)
    with _serving(inside, port):
        _wait_for_server(pod, target)
        answers = {_probe(pod, target) for _ in range(5)}
        processes = len(pod._idle)

    assert len(answers) == 5
    assert processes == 1


def test_a_pod_that_is_gone() -> None:
    """The error names the command that leads there, and its exit code."""
    gone = Remote(["sh", "-c", "exit 7"])

    with pytest.raises(AskerEndedError, match=r"sh -c exit 7.*exit code 7"):
        _probe(gone, Target(_HERE, 1))


def test_a_page(pod: Remote, port: int) -> None:
    """What HTTP has for a URL comes back with its status; no server is an OSError."""
    url = f"http://{_HERE}:{port}/healthz"
    with pytest.raises(OSError, match="Connection refused"):
        pod.fetch(url, 2.0)

    with HTTPServer((_HERE, port), _Page) as server:
        thread = Thread(target=server.handle_request)
        thread.start()
        assert pod.fetch(url, 2.0) == (503, "/healthz\nof two lines\n")
        thread.join()


@pytest.mark.parametrize(
    "outcome",
    [Answered("web-1", "10.244.1.2", 40000), Refused(), TimedOut(), Unreachable("no route")],
)
def test_outcomes_come_back_as_they_were(outcome: Outcome) -> None:
    """A line holds all of an outcome."""
    assert read_outcome(outcome_line(outcome)) == outcome


@pytest.mark.parametrize(
    "request_",
    [
        Farewell(3),
        Question(
            conversation=3,
            target=Target("fd00::1", 53, Protocol.UDP),
            source="fd00::2",
            source_port=4000,
            mark=2,
            timeout_seconds=0.5,
        ),
    ],
)
def test_requests_come_back_as_they_were(request_: Question | Farewell) -> None:
    """A line holds all of a request."""
    assert read_request(request_line(request_)) == request_
