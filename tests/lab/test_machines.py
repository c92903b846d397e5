# SPDX-License-Identifier: Apache-2.0
"""Machines and links: two hosts reach each other, and what answers tells the truth."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import (
    Answered,
    CommandFailedError,
    Host,
    Lab,
    Outcome,
    Port,
    Protocol,
    Refused,
    Target,
    TimedOut,
    Unreachable,
    probe,
    probe_times,
)

Pair = tuple[Lab, Host, Host]

_SERVER_ADDRESSES = ("10.9.0.2", "fd00:9::2")


@pytest.fixture
def pair() -> Iterator[Pair]:
    """Yield a lab with a client, 10.9.0.1 and .3, and a server, 10.9.0.2, that answers on 80."""
    with Lab() as lab:
        client, server = lab.add_hosts("client", "server")
        lab.connect(
            Port(client, "eth0", ("10.9.0.1/24", "fd00:9::1/64", "10.9.0.3/24", "fd00:9::3/64")),
            Port(server, "eth0", ("10.9.0.2/24", "fd00:9::2/64")),
        )
        lab.serve(server, 80)
        yield lab, client, server


def _seen(outcome: Outcome) -> tuple[str, str]:
    assert isinstance(outcome, Answered), outcome
    return outcome.by, outcome.source


@pytest.mark.parametrize("protocol", Protocol)
@pytest.mark.parametrize(
    ("address", "own", "other"),
    [("10.9.0.2", "10.9.0.1", "10.9.0.3"), ("fd00:9::2", "fd00:9::1", "fd00:9::3")],
)
def test_an_answer_names_the_server_and_the_source(
    pair: Pair, protocol: Protocol, address: str, own: str, other: str
) -> None:
    """Each family and protocol is answered, by name, with the source that was bound."""
    _, client, _ = pair
    target = Target(address, 80, protocol)

    assert _seen(probe(client, target, source=own)) == ("server", own)
    assert _seen(probe(client, target, source=other)) == ("server", other)


def test_each_of_many_probes_is_a_new_connection(pair: Pair) -> None:
    """Repeated probes use as many source ports as there are probes."""
    _, client, _ = pair

    outcomes = probe_times(5, client, Target("10.9.0.2", 80))

    assert len({o.source_port for o in outcomes if isinstance(o, Answered)}) == 5


@pytest.mark.parametrize("protocol", Protocol)
@pytest.mark.parametrize("address", _SERVER_ADDRESSES)
def test_a_port_without_server_refuses(pair: Pair, protocol: Protocol, address: str) -> None:
    """A reset, or ICMP port unreachable, is told from silence."""
    _, client, _ = pair

    assert probe(client, Target(address, 81, protocol)) == Refused()


@pytest.mark.parametrize("protocol", Protocol)
def test_a_dropped_packet_times_out(pair: Pair, protocol: Protocol) -> None:
    """A rule that drops is seen as silence, and its own lock is used to write it."""
    _, client, server = pair
    server.run(["iptables-legacy", "-w", "-A", "INPUT", "-s", "10.9.0.1", "-j", "DROP"])

    outcome = probe(
        client, Target("10.9.0.2", 80, protocol), source="10.9.0.1", timeout_seconds=0.2
    )

    assert outcome == TimedOut()
    assert server.lock_file.exists()
    assert _seen(probe(client, Target("10.9.0.2", 80, protocol), source="10.9.0.3"))


@pytest.mark.parametrize(
    ("target", "outcome"), [("DROP", TimedOut()), ("REJECT", Refused())], ids=["drop", "reject"]
)
def test_rules_of_the_own_machine_drop_or_refuse_datagrams(
    pair: Pair, target: str, outcome: Outcome
) -> None:
    """What cannot be sent because of the own rules is told by their outcome, not by an error."""
    _, client, _ = pair
    client.run(["iptables-legacy", "-w", "-A", "OUTPUT", "-p", "udp", "-j", target])

    assert probe(client, Target("10.9.0.2", 80, Protocol.UDP), timeout_seconds=0.5) == outcome


@pytest.mark.parametrize("address", ["198.51.100.1", "2001:db8::1"])
def test_an_address_without_route_is_unreachable(pair: Pair, address: str) -> None:
    """A missing route is told from a refusal."""
    _, client, _ = pair

    assert probe(client, Target(address, 80)) == Unreachable("Network is unreachable")


def test_a_server_answers_at_chosen_addresses_only(pair: Pair) -> None:
    """A server can be limited to some addresses of its machine."""
    lab, client, server = pair
    lab.serve(server, 81, addresses=["10.9.0.2"])

    assert _seen(probe(client, Target("10.9.0.2", 81)))
    assert probe(client, Target("fd00:9::2", 81)) == Refused()


def test_a_connection_is_answered_line_by_line(pair: Pair) -> None:
    """An open connection keeps its server: each line gets an answer until the client closes."""
    _, client, _ = pair
    with client.entered():
        connection = socket.create_connection(("10.9.0.2", 80), timeout=2)

    with connection, connection.makefile("rw") as lines:
        answers = set()
        for _ in range(3):
            lines.write("who?\n")
            lines.flush()
            answers.add(lines.readline())

    assert len(answers) == 1
    assert answers.pop().startswith("server 10.9.0.1 ")


def test_a_server_that_cannot_be_started_leaves_nothing_open(pair: Pair) -> None:
    """If one of its ports is taken, the sockets that it had by then are closed."""
    lab, _, server = pair
    with server.entered():
        rival = socket.socket(type=socket.SOCK_DGRAM)
        rival.bind(("10.9.0.2", 81))
    with rival:
        before = set(Path("/proc/self/fd").iterdir())
        # What is caught keeps alive whatever only the garbage collector would close.
        with pytest.raises(OSError, match="Address already in use") as caught:
            lab.serve(server, 81, addresses=["10.9.0.2"])
        assert set(Path("/proc/self/fd").iterdir()) <= before, caught


def test_programs_and_settings_stay_inside(pair: Pair) -> None:
    """Programs see the machine's links, and a setting of one machine is not the other's."""
    _, client, server = pair
    client.set_sysctl("net.ipv4.ip_forward", "1")
    server.set_sysctl("net.ipv4.ip_forward", "0")

    assert client.python("import socket; print([n for _, n in socket.if_nameindex()])") == (
        "['lo', 'eth0']\n"
    )
    assert client.sysctl("net.ipv4.ip_forward") == "1"
    assert server.sysctl("net.ipv4.ip_forward") == "0"


def test_a_failed_program_says_where_and_what(pair: Pair) -> None:
    """The error of a failed program names the machine, the command, its exit code and output."""
    _, client, _ = pair

    with pytest.raises(CommandFailedError, match=r"client: .* sh -c .*: exit code 3: no such luck"):
        client.run(["sh", "-c", "echo no such luck >&2; exit 3"])

    assert client.run(["sh", "-c", "exit 3"], check=False).returncode == 3


def test_a_program_that_does_not_end_is_an_error(pair: Pair) -> None:
    """A program is not waited for without end."""
    _, client, _ = pair

    with pytest.raises(CommandFailedError, match=r"client: .*: still running after 0\.1 s"):
        client.run(["sleep", "600"], timeout_seconds=0.1)
