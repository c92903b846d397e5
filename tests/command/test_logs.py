# SPDX-License-Identifier: Apache-2.0
"""What an agent writes of its syncs, as text and as JSON."""

from __future__ import annotations

import fcntl
import json
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from lab import wait_until
from tests.apiserver import FakeApiServer
from tests.apiserver.objects import endpoint_slice, node, service
from tests.command.http import wait_until_verified
from tests.command.site import NODE_NAME, AgentProcess, Site

_PHASES = {"queue", "build", "nat", "filter"}
_TABLE_PHASES = {"ms", "lock", "compare", "kernel"}


def _syncs(agent: AgentProcess, family: str = "ipv4") -> list[dict[str, Any]]:
    """The objects that tell of syncs of one family; each line of the log must be an object."""
    found = [json.loads(line) for line in agent.log.splitlines() if line]
    return [one for one in found if one.get("family") == family and "phases" in one]


def _next_sync(agent: AgentProcess, seen: int) -> dict[str, Any]:
    wait_until("another sync is told", lambda: len(_syncs(agent)) > seen)
    return _syncs(agent)[seen]


@contextmanager
def _held(lock_file: Path) -> Iterator[None]:
    with lock_file.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def test_each_sync_is_an_object_with_what_changed_and_its_phases(site: Site) -> None:
    """JSON names Services and endpoints that changed, counts rules, and times each phase."""
    site.write("web.yaml", service(), endpoint_slice())
    agent = site.start("--logging-format=json")

    first = _next_sync(agent, 0)
    assert first["services"] == {
        "added": 1,
        "removed": 0,
        "changed": 0,
        "names": ["+default/web"],
    }
    assert first["endpoints"]["names"] == ["+default/web 10.244.1.2"]
    assert first["tables"]["nat"]["changes"]["rulesAdded"] > 5
    assert first["tables"]["nat"]["repairs"]["rulesAdded"] == 0
    assert first["phases"].keys() == _PHASES
    assert first["phases"]["nat"].keys() == _TABLE_PHASES
    assert first["phases"]["nat"]["kernel"] > 0
    whole = first["phases"]["build"] + sum(
        first["phases"][table]["ms"] for table in ("nat", "filter")
    )
    assert whole <= first["ms"]

    site.write("web.yaml", service(), endpoint_slice(address="10.244.1.3"))
    second = _next_sync(agent, 1)
    assert second["endpoints"]["names"] == ["+default/web 10.244.1.3", "-default/web 10.244.1.2"]
    assert second["services"]["names"] == []
    assert second["reason"] == "change"
    assert second["phases"]["queue"] > 0


def test_a_repair_is_told_with_what_was_repaired(site: Site) -> None:
    """A sync that repairs is a warning whose fields count the repairs, and nothing else changed."""
    site.write("web.yaml", service(), endpoint_slice())
    agent = site.start("--logging-format=json")
    _next_sync(agent, 0)

    site.host.run(["iptables-legacy", "-w", "-t", "nat", "-F", "KUBE-MARK-MASQ"])

    repair = _next_sync(agent, 1)
    assert repair["level"] == "warning"
    assert repair["tables"]["nat"]["repairs"]["rulesAdded"] == 1
    assert repair["tables"]["nat"]["changes"]["rulesAdded"] == 0
    assert repair["services"]["names"] == repair["endpoints"]["names"] == []


def test_waiting_for_the_lock_is_told_apart(site: Site) -> None:
    """Time that a table waits for the xtables lock is that phase's, not the kernel's."""
    site.write("web.yaml", service(), endpoint_slice())
    with _held(site.host.lock_file):
        agent = site.start("--logging-format=json")
        _wait_until_locked_out(site.host.lock_file)

    phases = _next_sync(agent, 0)["phases"]
    waited = max(phases["nat"]["lock"], phases["filter"]["lock"])
    assert waited > 10 * min(phases["nat"]["lock"], phases["filter"]["lock"])


def _wait_until_locked_out(lock: Path) -> None:
    """Return when somebody waits for the lock, as the kernel's list of locks shows it."""
    inode = lock.stat().st_ino

    def has_waiter() -> bool:
        lines = Path("/proc/locks").read_text(encoding="ascii").splitlines()
        return any("->" in line and f":{inode} " in line for line in lines)

    wait_until("the agent waits for the lock", has_waiter)


def test_the_same_in_words(site: Site) -> None:
    """Text has one line a sync, with names, counts by table and the phases."""
    site.write("web.yaml", service(), endpoint_slice())
    agent = site.start()
    agent.wait_for("synced ipv6")

    (line,) = agent.log_lines_with("synced ipv4")
    assert re.search(
        r"synced ipv4 \(change\) in [\d.]+ ms: services \+default/web; "
        r"endpoints \+default/web 10\.244\.1\.2; (filter|nat): rules \+\d+ -0, chains \+\d+ -0; .*"
        r"ms: queue [\d.]+, build [\d.]+, (filter|nat) [\d.]+ "
        r"\(lock [\d.]+, compare [\d.]+, kernel [\d.]+\), ",
        line,
    )


@pytest.mark.parametrize(("verbosity", "names"), [(0, 3), (4, 5)])
def test_many_names_become_numbers(site: Site, verbosity: int, names: int) -> None:
    """Of many endpoints the line has the number and the first few; with -v 4 it names them all."""
    many = endpoint_slice()
    many["endpoints"] = [{"addresses": [f"10.244.1.{last}"]} for last in range(2, 7)]
    site.write("web.yaml", service(), many)
    agent = site.start(f"--v={verbosity}", "--logging-format=json")

    endpoints = _next_sync(agent, 0)["endpoints"]

    assert endpoints["added"] == 5
    assert len(endpoints["names"]) == names


def test_unchanged_syncs_are_told_with_verbosity_only(site: Site) -> None:
    """A sync that changes nothing is silent, and a line from -v 4 on."""
    site.write("web.yaml", service(), endpoint_slice())
    quiet = site.start()
    quiet.wait_for("synced ipv6")
    wait_until_verified(site.host)
    assert quiet.log_lines_with("nothing to change") == []
    quiet.end(signal.SIGTERM)

    loud = site.start("--v=4")
    loud.wait_for("nothing to change")


def test_secrets_are_not_logged(site: Site) -> None:
    """Whatever the verbosity, the token for the API server is in no line."""
    with site.host.entered():
        server = FakeApiServer()
        server.come_back()
    server.renew_token()
    for thing in (service(), endpoint_slice(), node(NODE_NAME)):
        server.put(thing)
    agent = site.start("--v=10", source=f"--kubeconfig={server.kubeconfig(site.folder)}")
    site.wait_for_destinations("10.244.1.2:8080")
    agent.wait_for("synced ipv6")

    assert "/api/v1/services" in agent.log
    assert server.token not in agent.log
    server.go_away()
