# SPDX-License-Identifier: Apache-2.0
"""Steps that look at the cluster and say what they expect to see."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from http.client import HTTPException
from typing import Final

from lab import Answered
from rules.ir import Family
from tests.e2e.asking import judged, questions_of, round_of
from tests.e2e.backend import Client, NodeMachine
from tests.e2e.errors import ExpectationFailedError
from tests.e2e.plan import of
from tests.e2e.question import Question
from tests.e2e.schema import Connect, Continue, EndLoop, Health, Probe, Rules
from tests.e2e.stage import Stage
from tests.kernel.node import PROGRAMS

_PAUSE_SECONDS: Final = 0.05
_HTTP_SECONDS: Final = 2.0


def await_probe(step: Probe, stage: Stage) -> None:
    """Ask until all outcomes are as expected; then they must stay so."""
    expect = stage.expected(step.expect, step.differences)

    def wrong() -> str:
        for questions in _judged_as_one(step, stage):
            outcomes = [
                outcome
                for question in questions
                for outcome in round_of(question, expect, step.count, step.source_port)
            ]
            found = judged(questions, outcomes, expect, stage)
            if found:
                return found
        return ""

    _await(wrong, step.seconds)
    end = time.monotonic() + step.hold_seconds
    while True:
        found = wrong()
        if found:
            raise ExpectationFailedError(f"was as expected, but did not stay so: {found}")
        if time.monotonic() >= end:
            return


def await_health(step: Health, stage: Stage) -> None:
    """Ask the health-check port until its answers are as expected."""
    port = int(stage.resolved(step.port))
    client = stage.cluster.client
    addresses = [
        of(family, stage.cluster.nodes[node].address)
        for family in step.families
        for node in stage.nodes(step.nodes)
    ]

    def wrong() -> str:
        return next(filter(None, (_wrong_health(client, one, port, step) for one in addresses)), "")

    _await(wrong, step.seconds)


def await_rules(step: Rules, stage: Stage) -> None:
    """Read the rules until the patterns are there, or not there."""
    nodes = stage.nodes(step.nodes)

    def wrong() -> str:
        for family in step.families:
            present = stage.resolved(step.present, family)
            absent = stage.resolved(step.absent, family)
            for node in nodes:
                lines = saved(stage.cluster.nodes[node].machine, family)
                found = _wrong_lines(lines, present, absent)
                if found:
                    return f"{node}, {family.value}: {found}"
        return ""

    _await(wrong, step.seconds)


def end_loop(step: EndLoop, stage: Stage) -> None:
    """Ask some more, then stop and count failures."""
    loop = stage.loops[step.name]
    for questioner in loop:
        questioner.wait_for_more()
    for questioner in loop:
        questioner.stop()
    del stage.loops[step.name]
    failures = [(one.target, failed) for one in loop for failed in one.failures]
    if len(failures) > step.failures and stage.is_asked(step.differences):
        asked = sum(len(one.outcomes) for one in loop)
        raise ExpectationFailedError(
            f"{len(failures)} of {asked} questions failed; the first was {failures[0]}"
        )


def open_connections(step: Connect, stage: Stage) -> None:
    """Open connections and ask through each for the first time."""
    opened = [(one, one.open()) for one in questions_of(step, stage)]
    stage.conversations[step.name] = opened
    for question, conversation in opened:
        outcome = conversation.ask()
        if not isinstance(outcome, Answered):
            raise ExpectationFailedError(f"{question}: expected an answer, got {outcome}")


def continue_connection(step: Continue, stage: Stage) -> None:
    """Ask through open connections."""
    expect = stage.expected(step.expect, step.differences)
    for question, conversation in stage.conversations[step.name]:
        found = judged([question], [conversation.ask()], expect, stage)
        if found:
            raise ExpectationFailedError(found)


def saved(machine: NodeMachine, family: Family) -> list[str]:
    """All rules of a family on a node, as iptables-save prints them, without its remarks."""
    printed = machine.run([f"{PROGRAMS[family]}-save"]).stdout
    return [line for line in printed.splitlines() if not line.startswith("#")]


def _judged_as_one(step: Probe, stage: Stage) -> list[list[Question]]:
    questions = questions_of(step, stage)
    return [questions] if step.together else [[one] for one in questions]


def _await(wrong: Callable[[], str], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while found := wrong():
        if time.monotonic() >= deadline:
            raise ExpectationFailedError(f"not within {seconds:g} s: {found}")
        time.sleep(_PAUSE_SECONDS)


def _wrong_health(client: Client, address: str, port: int, step: Health) -> str:
    host = f"[{address}]" if ":" in address else address
    url = f"http://{host}:{port}/healthz"
    try:
        status, body = client.fetch(url, _HTTP_SECONDS)
    except (OSError, HTTPException) as error:
        return f"{url}: {error}"
    if status != step.status:
        return f"{url}: status {status}: {body}"
    if step.local_endpoints not in (None, json.loads(body)["localEndpoints"]):
        return f"{url}: expected {step.local_endpoints} in {body}"
    return ""


def _wrong_lines(lines: list[str], present: list[str], absent: list[str]) -> str:
    for pattern in present:
        if not any(re.search(pattern, line) for line in lines):
            return f"nothing matches {pattern!r}"
    for pattern in absent:
        for line in lines:
            if re.search(pattern, line):
                return f"{pattern!r} matches {line!r}"
    return ""
