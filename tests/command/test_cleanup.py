# SPDX-License-Identifier: Apache-2.0
"""``dataplane cleanup``: everything of the agent's goes, nothing else does."""

from __future__ import annotations

import signal
from typing import Final

import pytest

from tests.address_plan import IPV4, PLANS
from tests.apiserver.objects import endpoint_slice, service
from tests.command.site import Site

_FOREIGN: Final = """\
*nat
:PREROUTING ACCEPT [1:100]
:POSTROUTING ACCEPT [2:200]
:DOCKER - [0:0]
[3:300] -A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
[4:400] -A POSTROUTING -o br0 -j MASQUERADE
COMMIT
*filter
:INPUT ACCEPT [5:500]
:FORWARD DROP [6:600]
:OUTPUT ACCEPT [7:700]
:KUBE-FIREWALL - [0:0]
[8:800] -A INPUT -j KUBE-FIREWALL
[9:900] -A OUTPUT -j KUBE-FIREWALL
COMMIT
"""


@pytest.mark.parametrize("command", [["cleanup"], ["run", "--cleanup"]], ids=" ".join)
def test_clean_up_removes_all_of_ours_and_nothing_else(site: Site, command: list[str]) -> None:
    """After a run with Services of both families the tables hold what others put there."""
    for plan in PLANS:
        site.node.restore(plan, _FOREIGN)
    before = {plan: site.node.save(plan, counters=True) for plan in PLANS}
    site.write("web.yaml", service(), endpoint_slice())
    agent = site.start()
    agent.wait_for("synced ipv6")
    agent.end(signal.SIGTERM)
    assert site.destinations == {"10.244.1.2:8080"}

    done = site.command(*command, _lock_file(site))

    assert done.returncode == 0, done.stderr
    after = {plan: site.node.save(plan, counters=True) for plan in PLANS}
    # Kubelet keeps the same rule there, so the agent's cannot be told from it.
    assert [line for line in after[IPV4] if "block incoming localnet connections" not in line] == (
        before[IPV4]
    )
    assert {plan: after[plan] for plan in PLANS if plan is not IPV4} == {
        plan: before[plan] for plan in PLANS if plan is not IPV4
    }


def test_clean_up_twice(site: Site) -> None:
    """A second clean-up finds nothing and is content."""
    site.command("cleanup", _lock_file(site))

    done = site.command("cleanup", _lock_file(site))

    assert done.returncode == 0, done.stderr
    assert done.stderr.count("removed 0 rules and 0 chains") == 4


@pytest.mark.parametrize("command", [["cleanup"], ["run", "--cleanup"]], ids=" ".join)
def test_clean_up_is_refused_while_an_agent_runs(site: Site, command: list[str]) -> None:
    """It says that the agent has to be stopped first, and removes nothing."""
    site.write("web.yaml", service(), endpoint_slice())
    agent = site.start()
    agent.wait_for("synced ipv6")
    before = site.node.save(IPV4)

    done = site.command(*command, _lock_file(site))

    assert done.returncode == 1
    assert "programs this node already" in done.stderr
    assert "stop it first" in done.stderr
    assert site.node.save(IPV4) == before


def _lock_file(site: Site) -> str:
    """The flag that names the lock of the site's agent."""
    return f"--lock-file={site.folder / 'agent.lock'}"
