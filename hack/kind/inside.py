# SPDX-License-Identifier: Apache-2.0
"""What runs in a pod: servers that tell who answered, or somebody who asks what it is told to.

    python3 -m kind.inside serve NAME ADDRESS[,ADDRESS]... PORT...
    python3 -m kind.inside ask
    python3 -m kind.inside fetch URL TIMEOUT

The first serves until it is killed. The second answers each question, a line of its input, by one
line, its outcome; see :mod:`kind.wire`. The third prints a status and what HTTP has for a URL.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterable
from typing import Final, TextIO

from kind.wire import Farewell, Question, outcome_line, read_request
from lab import Conversation
from lab.echo import EchoServers
from lab.place import Here
from lab.probe import fetch

_HERE: Final = Here("here")


def serve(name: str, addresses: Iterable[str], ports: Iterable[int]) -> None:
    """Serve each port on each address until this process is killed."""
    servers = EchoServers()
    for port in ports:
        servers.listen(Here(name), port, addresses)
    # A pod that terminates goes on serving until its time is over.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    while True:
        signal.pause()


def ask(requests: Iterable[str], outcomes: TextIO) -> None:
    """Ask what the lines say until there are no more."""
    conversations: dict[int, Conversation] = {}
    try:
        for request in map(read_request, requests):
            number = request.conversation
            if isinstance(request, Farewell):
                conversations.pop(number).close()
                continue
            if number not in conversations:
                conversations[number] = _conversation(request)
            outcomes.write(outcome_line(conversations[number].ask(request.timeout_seconds)))
            outcomes.flush()
    finally:
        for conversation in conversations.values():
            conversation.close()


def _conversation(question: Question) -> Conversation:
    return Conversation(
        _HERE,
        question.target,
        source=question.source,
        source_port=question.source_port,
        mark=question.mark,
    )


def main(arguments: list[str]) -> None:
    """Do what the command line says."""
    match arguments:
        case ["serve", name, addresses, *ports]:
            serve(name, addresses.split(","), map(int, ports))
        case ["ask"]:
            ask(sys.stdin, sys.stdout)
        case ["fetch", url, timeout]:
            print(*fetch(_HERE, url, float(timeout)), sep="\n", end="")
        case _:
            raise SystemExit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
