# SPDX-License-Identifier: Apache-2.0
"""The machines that packet tests use, and what becomes of a question that one of them asks."""

from __future__ import annotations

from collections import Counter
from typing import Final

from lab import Answered, Host, Outcome, Protocol, Target, probe, probe_times
from lab.plan import DualStack, Pod
from rules.ir import Family
from tests.address_plan import IPV4, IPV6, AddressPlan

LOCAL: Final = Pod("local-1", DualStack(IPV4.local_pod, IPV6.local_pod))
OTHER_LOCAL: Final = Pod("local-2", DualStack(IPV4.other_local_pod, IPV6.other_local_pod))
REMOTE: Final = Pod("remote-1", DualStack(IPV4.remote_pod, IPV6.remote_pod))
OTHER_REMOTE: Final = Pod("remote-2", DualStack(IPV4.other_remote_pod, IPV6.other_remote_pod))
LOCAL_PODS: Final = (LOCAL, OTHER_LOCAL)
REMOTE_PODS: Final = (REMOTE, OTHER_REMOTE)

_UNTIL_DROPPED_SECONDS: Final = 0.4
_AT_ONCE_SECONDS: Final = 0.9
"""Shorter than TCP waits before it asks again: the first question was answered."""


def of(plan: AddressPlan, address: DualStack) -> str:
    """The address of the plan's family."""
    return address.ipv4 if plan.family is Family.IPV4 else address.ipv6


def answer(host: Host, target: Target, *, source: str | None = None) -> Answered:
    """The answer that ``host`` gets."""
    outcome = probe(host, target, source=source)
    assert isinstance(outcome, Answered), f"{host.name} to {target}: {outcome}"
    return outcome


def at_once(host: Host, target: Target) -> Outcome:
    """What becomes of a question, if it is decided at once.

    Not for TCP over IPv6 that an ICMP message refuses: without any delay on the wire it arrives
    while the asking kernel is still busy with connect(), and only the second one, after a second,
    is believed. Use :func:`lab.probe.probe` there.
    """
    return probe(host, target, timeout_seconds=_AT_ONCE_SECONDS)


def if_dropped(host: Host, target: Target, *, source: str | None = None) -> Outcome:
    """What becomes of a question that should be dropped, without much patience."""
    return probe(host, target, source=source, timeout_seconds=_UNTIL_DROPPED_SECONDS)


def answers_by_pod(
    count: int, host: Host, target: Target, *, source: str | None = None
) -> Counter[str]:
    """How many of ``count`` questions each pod answered; all were."""
    outcomes = probe_times(count, host, target, source=source)
    answers = [outcome for outcome in outcomes if isinstance(outcome, Answered)]
    assert len(answers) == count, [outcome for outcome in outcomes if outcome not in answers]
    return Counter(one.by for one in answers)


def tcp(address: str, port: int = 80) -> Target:
    """A TCP target, on the port that services listen on unless told otherwise."""
    return Target(address, port, Protocol.TCP)


def udp(address: str, port: int = 80) -> Target:
    """A UDP target, likewise."""
    return Target(address, port, Protocol.UDP)
