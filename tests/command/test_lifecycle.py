# SPDX-License-Identifier: Apache-2.0
"""The agent's process: one a node, rules that outlive it, and a start after any end."""

from __future__ import annotations

import signal
from functools import partial

import pytest

from lab import wait_until
from tests.address_plan import IPV4
from tests.apiserver.objects import endpoint_slice, service
from tests.command.site import AgentProcess, Site

_HERE = "10.244.1.2:8080"


@pytest.fixture
def agent(site: Site) -> AgentProcess:
    """An agent that has programmed its first rules."""
    site.write("web.yaml", service(), endpoint_slice())
    agent = site.start()
    agent.wait_for("synced ipv6")
    return agent


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_polite_end_leaves_the_rules(
    site: Site, agent: AgentProcess, number: signal.Signals
) -> None:
    """On SIGTERM and SIGINT the agent exits with 0, and every rule stays."""
    before = site.node.contents(IPV4)

    assert agent.end(number) == 0

    assert site.destinations == {_HERE}
    assert site.node.contents(IPV4) == before
    assert "the rules stay in place" in agent.log


def test_a_second_agent_is_refused(site: Site, agent: AgentProcess) -> None:
    """The second one says which process is in its way and exits with 1; the first goes on."""
    done = site.run_to_its_end()

    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("dataplane: another agent (pid ")
    assert line.endswith("stop it first")
    site.write("web.yaml", service(), endpoint_slice(address="10.244.1.3"))
    site.wait_for_destinations("10.244.1.3:8080")
    assert agent.is_running


def test_an_agent_tells_where_its_threads_are(site: Site, agent: AgentProcess) -> None:
    """On SIGUSR1 the stacks of all threads are written, however often, and the agent goes on."""
    for number in range(1, 21):
        agent.send(signal.SIGUSR1)
        # The last of them, and the one that matters: that of the sync loop.
        wait_until("all are written", partial(_are_written, agent, number))

    site.write("web.yaml", service(), endpoint_slice(address="10.244.1.3"))
    site.wait_for_destinations("10.244.1.3:8080")


def _are_written(agent: AgentProcess, times: int) -> bool:
    return len(agent.log_lines_with("in _wait")) == times


def test_a_killed_agent_leaves_rules_that_the_next_takes_over(
    site: Site, agent: AgentProcess
) -> None:
    """After kill -9 the rules stay; the next agent starts at once and removes what is stale."""
    assert agent.end(signal.SIGKILL) == -signal.SIGKILL
    assert site.destinations == {_HERE}
    before = site.node.contents(IPV4)

    again = site.start("--v=4")
    wait_until("it has looked at ipv6 too", lambda: again.log_lines_with("synced ipv6") != [])
    assert again.log_lines_with("synced") == again.log_lines_with("nothing to change")
    assert site.node.contents(IPV4) == before
    assert again.end(signal.SIGKILL) == -signal.SIGKILL

    site.write("web.yaml", service(), endpoint_slice(address="10.244.1.3"))
    site.start()
    site.wait_for_destinations("10.244.1.3:8080")
