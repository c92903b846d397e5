# SPDX-License-Identifier: Apache-2.0
"""Machines made of network namespaces, for the demo, the kernel tests and the benchmarks.

- :mod:`lab.node`: a node with pods, an outside client and an optional second node.
- :mod:`lab.plan`: their addresses.
- :mod:`lab.machines`: any other set of machines and links.
- :mod:`lab.host`: what can be done on a machine.
- :mod:`lab.echo`, :mod:`lab.probe`: who answers a connection, and whom it saw; also outside of a
  lab, by :mod:`lab.place`.
- :mod:`lab.namespaces`: names, removal, and sweeping up after dead owners.
- :mod:`lab.waiting`: waiting for a condition.

Needs root, ``ip`` and ``iptables-legacy``, and nothing outside the standard library.
"""

from lab.errors import CommandFailedError, LabError, LabUnavailableError, NotInTimeError
from lab.host import Host
from lab.machines import Lab, Port
from lab.node import NodeLab, node_lab
from lab.probe import (
    Answered,
    Conversation,
    Outcome,
    Protocol,
    Refused,
    Target,
    TimedOut,
    Unreachable,
    probe,
    probe_times,
)
from lab.waiting import wait_until

__all__ = [
    "Answered",
    "CommandFailedError",
    "Conversation",
    "Host",
    "Lab",
    "LabError",
    "LabUnavailableError",
    "NodeLab",
    "NotInTimeError",
    "Outcome",
    "Port",
    "Protocol",
    "Refused",
    "Target",
    "TimedOut",
    "Unreachable",
    "node_lab",
    "probe",
    "probe_times",
    "wait_until",
]
